package options

// Flag is a flag as a shell completes it.
type Flag struct {
	Name, Help string
	Short      string
	Value      string   // the placeholder, "" if it takes none
	Words      []string // the values, if they are known
}

// Flags returns the flags of a command that do something, none if the table is not
// about it.
func (p Program) Flags(command string) []Flag {
	switch command {
	case "serve":
		return tableFlags(p, optionTable(p, &settings{}))
	case "healthcheck":
		return tableFlags(p, healthcheckTable(p, &healthcheck{}))
	}
	return nil
}

// tableFlags are the flags of a table that do something.
func tableFlags(p Program, groups []group) []Flag {
	var flags []Flag
	for o := range each(groups) {
		if o.reason(p.possible()) != "" {
			continue
		}
		f := Flag{Name: o.name, Help: o.help}
		if o.short != 0 {
			f.Short = string(o.short)
		}
		if o.takesValue() {
			f.Value = o.value.placeholder()
		}
		if c, ok := o.value.(choice); ok {
			f.Words = c.of
		}
		flags = append(flags, f)
		if o.isToggle() && o.def == "true" {
			flags = append(flags, Flag{Name: "no-" + o.name, Help: o.help})
		}
	}
	return flags
}
