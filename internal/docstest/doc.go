// Package docstest holds the documentation to its word: README.md, CHANGELOG.md,
// CONTRIBUTING.md and docs/*.md are read by its tests, and what they show must
// be what the program does. There is no code here besides tests.
//
// Each page is played from top to bottom in an empty directory of its own. What
// a fenced block is, its info string says:
//
//	json directives file=configs/directives_ssh.json
//	    a file of directives: it is written there, and loads without a problem
//	json assets file=…, json intel file=…, json vuln file=…, ndjson events file=…,
//	ndjson eve file=…, json saved file=…
//	    likewise assets, sources of look-ups, normalized events, Suricata's
//	    records, saved backlogs
//	json output file=out/siem_alarms.json line=1
//	    what a command before it wrote, the whole file or one line of it; JSON is
//	    compared without the blanks between its parts
//	console
//	    commands after "$ ", run by a shell with the real binary as dsiem, and what
//	    they print on both streams; "..." stands for any text, alone on a line for
//	    any lines
//	sh
//	    commands that are not run; their flags must exist
//	text log, text wise, text nesd, json readyz, json findings, ndjson events
//	    in docs/backend.md: what a real backend logs in this order, what services
//	    answer, what it shows and finds then, and the events it gets
//	    (TestBackendRun)
//	text
//	    a drawing or a form; not looked at
//
// Words after the kind: "problems" says that the file is there to show mistakes,
// "mistakes=yes" that command lines do so, "base" that the tables of the page are about this file.
//
// Some tables are checked row by row; their header decides (see tableChecks).
// Relative links must lead somewhere, flags and variables must exist and all flags
// must be in docs/replay.md or docs/backend-options.md, log lines in tables must
// stand in the code, metrics must be those of a real backend, and every package must be in docs/ARCHITECTURE.md.
package docstest
