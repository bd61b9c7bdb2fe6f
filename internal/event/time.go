package event

import (
	"errors"
	"math"
	"time"
)

// The last time that an event may have: nanoseconds since 1970 fit in 63 bits, so
// that whoever orders events need not think of more (spec/correlation.md §15).
const (
	maxSeconds = math.MaxInt64 / 1_000_000_000
	maxNanos   = math.MaxInt64 % 1_000_000_000
)

// inRange reports whether an event may have a time: it is from
// 1970-01-01T00:00:00Z to 2262-04-11T23:47:16.854775807Z.
func inRange(seconds int64, nanos int32) bool {
	return seconds >= 0 && (seconds < maxSeconds || seconds == maxSeconds && nanos <= maxNanos)
}

var errRange = errors.New("the time is not between 1970 and 2262")

// parseTime reads a timestamp and returns it as whole UNIX seconds, floored,
// and the nanoseconds on top of them.
//
// The grammar is that of spec/correlation.md §1.3: what the seed accepts, and
// RFC 3339 in full:
//
//	year "-" month "-" day ("T" | "t" | " ") hour ":" minute ":" second
//	["." digits] ("Z" | "z" | "UTC" | sign hh [":"] mm)
//
// Month to second have one or two digits, the year one to four, or any number
// after a sign. Blanks (ASCII white space) may stand before and after each of
// these parts, except before the T (or the blank in its place) and around a
// sign or a decimal point. Hours and minutes of the offset have two digits; it
// is less than a day. Digits of the fraction beyond nanoseconds are cut off. Second 60
// counts as 59 at any minute, with its own fraction.
func parseTime(text string) (seconds int64, nanos int32, err error) {
	s := scanner{text}
	year, okYear := s.year()
	month, okMonth := s.part('-')
	day, okDay := s.part('-')
	if !okYear || !okMonth || !okDay {
		return 0, 0, errors.New("want a date as in 2006-01-02")
	}
	if !s.skip('T') && !s.skip('t') && !s.skip(' ') {
		return 0, 0, errors.New("want T or a blank after the date")
	}
	hour, okHour := s.digits(1, 2)
	minute, okMinute := s.part(':')
	second, okSecond := s.part(':')
	if !okHour || !okMinute || !okSecond {
		return 0, 0, errors.New("want a time as in 15:04:05")
	}
	nanos, ok := s.fraction()
	if !ok {
		return 0, 0, errors.New("want digits after the decimal point")
	}
	offset, ok := s.offset()
	if !ok {
		return 0, 0, errors.New("want an offset: Z, UTC or as in +07:00")
	}
	switch s.blanks(); {
	case s.rest != "":
		return 0, 0, errors.New("text after the offset")
	case year < 1969 || year > 2263: // an offset may make another year of it
		return 0, 0, errRange
	case month < 1 || month > 12 || day < 1 || day > daysIn(year, month):
		return 0, 0, errors.New("impossible date")
	case hour > 23 || minute > 59 || second > 60:
		return 0, 0, errors.New("impossible time of day")
	}
	local := time.Date(year, time.Month(month), day, hour, minute, min(second, 59), 0, time.UTC)
	seconds = local.Unix() - int64(offset)
	if !inRange(seconds, nanos) {
		return 0, 0, errRange
	}
	return seconds, nanos, nil
}

// commonTime reads the form that most timestamps have:
// 2006-01-02T15:04:05[.9][Z|±hh:mm], with up to nine digits of a fraction. Any
// other text, valid or not, is for parseTime to judge.
func commonTime(text []byte) (seconds int64, nanos int32, ok bool) {
	const date = "2006-01-02T15:04:05"
	if len(text) <= len(date) || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' {
		return 0, 0, false
	}
	year := twoDigits(text[0:])*100 + twoDigits(text[2:])
	month, day := twoDigits(text[5:]), twoDigits(text[8:])
	hour, minute, second := twoDigits(text[11:]), twoDigits(text[14:]), twoDigits(text[17:])
	if year > 9999 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 60 {
		return 0, 0, false
	}
	rest := text[len(date):]
	if rest[0] == '.' {
		if nanos, rest = shortFraction(rest[1:]); nanos < 0 {
			return 0, 0, false
		}
	}
	offset, ok := commonOffset(rest)
	seconds = (days(year, month, day)*24+int64(hour))*3600 + int64(minute*60+min(second, 59)-offset)
	return seconds, nanos, ok && inRange(seconds, nanos)
}

// notDigits is more than any number that can stand in a timestamp's place.
const notDigits = 1 << 20

// twoDigits reads two digits.
func twoDigits(text []byte) int {
	tens, ones := text[0]-'0', text[1]-'0'
	if tens > 9 || ones > 9 {
		return notDigits
	}
	return int(tens)*10 + int(ones)
}

// shortFraction reads one to nine digits of a fraction; nanos is -1 if there are
// none or more.
func shortFraction(text []byte) (nanos int32, rest []byte) {
	const most = 9
	i := 0
	for ; i < len(text) && i < most && isDigit(text[i]); i++ {
		nanos = nanos*10 + int32(text[i]-'0')
	}
	rest = text[i:]
	if i == 0 || len(rest) > 0 && isDigit(rest[0]) {
		return -1, nil
	}
	for ; i < most; i++ {
		nanos *= 10
	}
	return nanos, rest
}

// commonOffset reads Z or ±hh:mm in seconds.
func commonOffset(text []byte) (seconds int, ok bool) {
	if len(text) == len("Z") {
		return 0, text[0] == 'Z'
	}
	if len(text) != len("+07:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, minutes := twoDigits(text[1:]), twoDigits(text[4:])
	seconds = hours*3600 + minutes*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, hours < 24 && minutes < 60
}

// days returns the days from 1970-01-01 to a date in the years from 0 on.
func days(year, month, day int) int64 {
	// A year that begins in March ends with the leap day. Four centuries more keep
	// it positive.
	const epoch = 865566 // this formula for 1970-01-01
	if month < 3 {
		year, month = year-1, month+12
	}
	year += 400
	return int64(year*365 + year/4 - year/100 + year/400 + (month*153-457)/5 + day - epoch)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// scanner walks over a timestamp; rest is what is left of it. A method that
// returns false leaves rest at an unspecified place.
type scanner struct{ rest string }

func (s *scanner) blanks() {
	for s.rest != "" && isBlank(s.rest[0]) {
		s.rest = s.rest[1:]
	}
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// skip goes over the byte c if it comes next.
func (s *scanner) skip(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// part reads a separator and one or two digits, blanks before both.
func (s *scanner) part(separator byte) (int, bool) {
	s.blanks()
	if !s.skip(separator) {
		return 0, false
	}
	return s.digits(1, 2)
}

// digits reads a number of so many digits, blanks before it. A number that is
// too big for any year is cut, but remains too big.
func (s *scanner) digits(least, most int) (n int, ok bool) {
	const tooBig = 1e9
	s.blanks()
	i := 0
	for ; i < len(s.rest) && i < most && isDigit(s.rest[i]); i++ {
		n = min(n*10+int(s.rest[i]-'0'), tooBig)
	}
	s.rest = s.rest[i:]
	return n, i >= least
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) year() (int, bool) {
	s.blanks()
	negative := s.skip('-')
	if !negative && !s.skip('+') {
		return s.digits(1, 4)
	}
	if s.rest == "" || !isDigit(s.rest[0]) {
		return 0, false
	}
	year, ok := s.digits(1, len(s.rest))
	if negative {
		year = -year
	}
	return year, ok
}

// fraction reads an optional fraction of a second.
func (s *scanner) fraction() (nanos int32, ok bool) {
	if !s.skip('.') {
		return 0, true
	}
	i := 0
	for unit := int32(1e8); i < len(s.rest) && isDigit(s.rest[i]); i++ {
		nanos += int32(s.rest[i]-'0') * unit
		unit /= 10
	}
	s.rest = s.rest[i:]
	return nanos, i > 0
}

// offset reads the offset from UTC in seconds, blanks before it.
func (s *scanner) offset() (seconds int, ok bool) {
	s.blanks()
	if s.rest == "" {
		return 0, false
	}
	sign := 1
	switch s.rest[0] {
	case 'Z', 'z':
		s.rest = s.rest[1:]
		return 0, true
	case '+':
	case '-':
		sign = -1
	default:
		return 0, s.utc()
	}
	s.rest = s.rest[1:]
	if s.rest == "" || !isDigit(s.rest[0]) {
		return 0, false
	}
	hours, okHours := s.digits(2, 2)
	s.blanks()
	s.skip(':')
	minutes, okMinutes := s.digits(2, 2)
	return sign * (hours*3600 + minutes*60), okHours && okMinutes && hours < 24 && minutes < 60
}

// utc reads the letters UTC, upper or lower case like the seed.
func (s *scanner) utc() bool {
	const name = "utc"
	if len(s.rest) < len(name) {
		return false
	}
	for i := range len(name) {
		if s.rest[i]|0x20 != name[i] {
			return false
		}
	}
	s.rest = s.rest[len(name):]
	return true
}
