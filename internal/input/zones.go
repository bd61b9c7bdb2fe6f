package input

import "strings"

// windowsZones are the names of time zones as Windows has them in English, by their
// standard time. Suricata writes them there in the place of an offset
// (docs/spec/correlation.md D41). The offsets are those of today.
const windowsZones = `
-12:00 Dateline
-11:00 UTC-11
-10:00 Aleutian|Hawaiian
-09:30 Marquesas
-09:00 Alaskan|UTC-09
-08:00 Pacific|Pacific (Mexico)|UTC-08
-07:00 Mountain|Mountain (Mexico)|US Mountain|Yukon
-06:00 Canada Central|Central|Central America|Central (Mexico)|Easter Island
-05:00 Cuba|Eastern|Eastern (Mexico)|Haiti|SA Pacific|Turks And Caicos|US Eastern
-04:00 Atlantic|Central Brazilian|Pacific SA|SA Western|Venezuela
-03:30 Newfoundland
-03:00 Argentina|Bahia|E. South America|Magallanes|Montevideo|Paraguay|SA Eastern|Saint Pierre|Tocantins
-02:00 Greenland|Mid-Atlantic|UTC-02
-01:00 Azores|Cape Verde
+00:00 Coordinated Universal Time|GMT|Greenwich|Morocco|Sao Tome
+01:00 Central Europe|Central European|Romance|W. Central Africa|W. Europe
+02:00 E. Europe|Egypt|FLE|GTB|Israel|Jerusalem|Kaliningrad|Libya|Middle East|Namibia|Russia TZ 1|South Africa|South Sudan|Sudan|West Bank
+03:00 Arab|Arabic|Belarus|E. Africa|Jordan|Russia TZ 2|Russian|Syria|Turkey|Volgograd
+03:30 Iran
+04:00 Arabian|Astrakhan|Azerbaijan|Caucasus|Georgian|Mauritius|Russia TZ 3|Russia Time Zone 3|Saratov
+04:30 Afghanistan
+05:00 Ekaterinburg|Pakistan|Qyzylorda|Russia TZ 4|West Asia
+05:30 India|Sri Lanka
+05:45 Nepal
+06:00 Bangladesh|Central Asia|Omsk
+06:30 Myanmar
+07:00 Altai|N. Central Asia|North Asia|Novosibirsk|Russia TZ 6|SE Asia|Tomsk|W. Mongolia
+08:00 China|Malay Peninsula|North Asia East|Russia TZ 7|Singapore|Taipei|Ulaanbaatar|W. Australia
+08:45 Aus Central W.
+09:00 Korea|North Korea|Russia TZ 8|Tokyo|Transbaikal|Yakutsk
+09:30 AUS Central|Cen. Australia
+10:00 AUS Eastern|E. Australia|Russia TZ 9|Tasmania|Vladivostok|West Pacific
+10:30 Lord Howe
+11:00 Bougainville|Central Pacific|Magadan|Norfolk|Russia TZ 10|Russia Time Zone 10|Sakhalin
+12:00 Fiji|Kamchatka|New Zealand|Russia TZ 11|Russia Time Zone 11|UTC+12
+12:45 Chatham Islands
+13:00 Samoa|Tonga|UTC+13
+14:00 Line Islands
`

var zoneOffsets = readZones() //nolint:gochecknoglobals // a table

// readZones returns the offsets in minutes by name.
func readZones() map[string]int {
	zones := map[string]int{}
	for line := range strings.Lines(windowsZones[1:]) {
		digit := func(i int) int { return int(line[i] - '0') }
		minutes := (digit(1)*10+digit(2))*60 + digit(4)*10 + digit(5)
		if line[0] == '-' {
			minutes = -minutes
		}
		for name := range strings.SplitSeq(strings.TrimSpace(line[len("+00:00"):]), "|") {
			zones[name] = minutes
		}
	}
	return zones
}

// windowsZone returns the offset in minutes of a zone, for example of
// "W. Europe Daylight Time".
func windowsZone(name string) (minutes int, ok bool) {
	if minutes, ok = zoneOffsets[name]; ok && strings.HasPrefix(name, "UTC") || name == "Coordinated Universal Time" {
		return minutes, ok
	}
	before, behind, standard := strings.Cut(name, " Standard Time")
	ahead := 0
	if !standard {
		before, behind, ok = strings.Cut(name, " Daylight Time")
		ahead = 60
		if before == "Lord Howe" {
			ahead = 30
		}
	}
	minutes, known := zoneOffsets[before+behind]
	return minutes + ahead, known && (standard || ok)
}
