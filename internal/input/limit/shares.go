package limit

import (
	"container/heap"
	"math"
	"strings"
	"time"
)

// maxClients is the number of clients that have an account.
const maxClients = 10_000

// shares divides the tokens of a limit among clients. Each client has an account,
// which holds one second of the limit when it is full, and less than nothing while
// the client is in debt. The tokens of each moment go in equal parts to the accounts
// that are not full: nobody's share is wasted on a client that does not use it, and
// all of them together get the limit and no more.
//
// To do that for any number of clients at once, level counts the tokens that an
// account got which was never full, and an account remembers the level at which it
// is empty. So time moves one number, and a heap knows which account is full next.
//
// The number of accounts is bounded. For one more the account is forgotten whose client
// has sent nothing for longest, even if that is in debt: it gets no more by this than a
// client from a new address gets, and nobody has to pay for the debts of others.
//
// Time is an argument. The owner of the shares holds its lock for all methods.
type shares struct {
	limit   int // tokens a second for all, and the most that an account holds (D10)
	level   float64
	sharers float64   // how many accounts are not full, on the average of late
	at      time.Time // when level was right
	clients map[string]*account
	filling fillings // the accounts that are not full
	used    account  // all accounts: a ring, newer is that of the most silent client
	// forgotten counts the accounts that were forgotten before they were full.
	forgotten uint64
}

// account is what a client has of the limit.
type account struct {
	client  string
	empty   float64 // the level at which there is no token; only if it is not full
	place   int     // in shares.filling; isFull if it is not there
	waiting int     // requests that wait for tokens they have taken ahead

	older, newer *account // in shares.used; nil when the account is forgotten
}

// isFull is the place of an account that is full.
const isFull = -1

func newShares() *shares {
	s := &shares{clients: map[string]*account{}}
	s.used.older, s.used.newer = &s.used, &s.used
	return s
}

// share returns the tokens a second that an account gets which is not full.
func (s *shares) share() float64 { return float64(s.limit) / float64(len(s.filling)) }

// averaged is the time in seconds over which sharers is an average, more or less.
const averaged = 10

// spend gives out the tokens of some seconds.
func (s *shares) spend(seconds float64) {
	s.level += seconds * s.share()
	s.sharers += (float64(len(s.filling)) - s.sharers) * -math.Expm1(-seconds/averaged)
}

// advance lets time pass.
func (s *shares) advance(now time.Time) {
	for passed := now.Sub(s.at).Seconds(); passed > 0 && len(s.filling) > 0; {
		first := s.filling[0]
		left := max(0, first.empty+float64(s.limit)-s.level) / s.share() // the limit may have fallen
		s.spend(min(passed, left))
		if passed < left {
			break
		}
		passed -= left
		heap.Remove(&s.filling, first.place)
	}
	s.at = now
}

// find returns the account of a client that sends something. Without one it has not
// taken tokens for long, and gets the account when it does.
func (s *shares) find(client string) *account {
	a := s.clients[client]
	if a != nil {
		a.leaveUsed()
		s.use(a)
	}
	return a
}

// use makes an account the newest of those that are used.
func (s *shares) use(a *account) {
	a.older, a.newer = s.used.older, &s.used
	a.older.newer, s.used.older = a, a
}

// leaveUsed takes an account out of the ring of those that are used.
func (a *account) leaveUsed() {
	a.older.newer, a.newer.older = a.newer, a.older
	a.older, a.newer = nil, nil
}

// open returns the account of a client that takes tokens.
func (s *shares) open(client string) *account {
	if a := s.find(client); a != nil {
		return a
	}
	if len(s.clients) >= maxClients {
		s.forget(s.used.newer)
	}
	a := &account{client: strings.Clone(client), place: isFull} // it may be a part of something large
	s.clients[a.client] = a
	s.use(a)
	return a
}

// forget forgets an account, which is full for those that still hold it.
func (s *shares) forget(a *account) {
	delete(s.clients, a.client)
	a.leaveUsed()
	if a.place != isFull {
		heap.Remove(&s.filling, a.place)
		s.forgotten++
	}
}

// isForgotten reports whether a is no account of any client.
func (a *account) isForgotten() bool { return a.newer == nil }

// due returns the level at which an account has a token.
func (s *shares) due(a *account) float64 {
	if a == nil || a.place == isFull {
		return s.level
	}
	return a.empty + 1
}

// slack is how many tokens a level may be wrong by, as it is no whole number.
const slack = 1e-6

// until returns the time until a level is reached, if nobody else comes or goes.
func (s *shares) until(level float64) time.Duration {
	missing := level - s.level
	if missing < slack {
		return 0
	}
	return max(1, duration(missing/s.share()))
}

// likely returns the time until a level is reached if others come and go as they did
// of late. A client that sends now and then counts for as much as it takes.
func (s *shares) likely(level float64) time.Duration {
	return duration((level - s.level) * max(1, s.sharers) / float64(s.limit))
}

func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(min(seconds, math.MaxInt32) * float64(time.Second)))
}

// take takes n tokens from an account, which need not be there yet.
func (s *shares) take(a *account, n int) {
	if a.place == isFull {
		a.empty = s.level - float64(s.limit)
		heap.Push(&s.filling, a)
	}
	a.empty += float64(n)
	heap.Fix(&s.filling, a.place)
}

// giveBack undoes take.
func (s *shares) giveBack(a *account, n int) {
	if a.place == isFull { // it is full without them
		return
	}
	a.empty -= float64(n)
	heap.Fix(&s.filling, a.place)
}

// debt returns the tokens that an account has to get before it is empty.
func (s *shares) debt(a *account) int {
	if a == nil || a.place == isFull {
		return 0
	}
	return int(math.Ceil(max(0, a.empty-s.level-slack)))
}

// inDebt returns the number of clients that are in debt.
func (s *shares) inDebt() int {
	n := 0
	for _, a := range s.filling {
		if s.debt(a) > 0 {
			n++
		}
	}
	return n
}

// fillings are the accounts that are not full, as a heap: the fullest is the first.
type fillings []*account

// Len is for container/heap, as are the others.
func (f fillings) Len() int { return len(f) }

// Less says which of two accounts is full first.
func (f fillings) Less(i, j int) bool { return f[i].empty < f[j].empty }

// Swap swaps two accounts.
func (f fillings) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].place, f[j].place = i, j
}

// Push adds an account at the end.
func (f *fillings) Push(x any) {
	a := x.(*account) //nolint:forcetypeassert // there is nothing else
	a.place = len(*f)
	*f = append(*f, a)
}

// Pop removes the account at the end.
func (f *fillings) Pop() any {
	last := len(*f) - 1
	a := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	a.place = isFull
	return a
}
