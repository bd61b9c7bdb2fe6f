package limit

// Adjust moves the limit by one step.
func Adjust(l *Limiter, overloaded bool) {
	l.overloaded.Store(overloaded)
	l.adjust()
}

// MaxClients is the number of clients that have an account.
const MaxClients = maxClients
