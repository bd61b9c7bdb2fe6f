// Package docs holds the documentation to its word: README.md, CHANGELOG.md,
// CONTRIBUTING.md and docs/*.md are read by its tests, and what they show must
// be what the program does. There is no code here besides tests.
//
// Each page is played from top to bottom in an empty directory of its own. What
// a fenced block is, its info string says:
//
//	json directives file=configs/directives_ssh.json
//	    a file of directives: it is written there, and loads without a problem
//	json assets file=…, json intel file=…, json vuln file=…, json auth file=…,
//	json event file=…, ndjson events file=…, ndjson eve file=…, json saved file=…
//	    likewise assets, sources of look-ups, rights, a normalized event, or one in
//	    each line, Suricata's records, saved backlogs. What is below docs/examples
//	    is such a file of the repository, too
//	json output file=out/siem_alarms.json line=1
//	    what a command before it wrote, the whole file or one line of it; JSON is
//	    compared without the blanks between its parts
//	sh serve
//	    a command that starts a node: it listens at a free port, has its
//	    directories here and ends with the page, or with the next such block; in
//	    the blocks behind it, localhost:8080 is this node. The command may begin
//	    with "go run ./cmd/"
//	text log
//	    behind it, what that node logs in this order, with other lines in between
//	console
//	    commands after "$ ", run by a shell with the real binary as dsiem, and what
//	    they print on both streams; "..." stands for any text, alone on a line for
//	    any lines. curl is that of test/testkit/curl, which knows few flags
//	console soon
//	    likewise, but a command is repeated until it prints this
//	sh
//	    commands that are not run; their flags must exist
//	text log, text wise, text nesd, json readyz, json findings, ndjson events
//	    in docs/backend.md: what a real backend logs in this order, what services
//	    answer, what it shows and finds then, and the events it gets
//	    (TestBackendRun)
//	text log of=frontend, json event, json message, json number, json readyz
//	    in docs/cluster.md, with the commands of its block "sh" that begins with
//	    nats-server: what a real frontend logs, the event it gets, the message it
//	    makes of that, what it says of its last number, and its state without NATS
//	    (TestClusterRun)
//	text nats
//	    in docs/security.md: the configuration of the NATS server of TestClusterRun
//	text logstash
//	    in docs/http-api.md: it tries again when it must (TestRecipesTryAgain)
//	text, toml, yaml, ini
//	    a drawing, a form, or the configuration of another program; not looked at
//
// Words after the kind: "problems" says that the file is there to show mistakes,
// "mistakes=yes" that command lines do so, "base" that the tables of the page are about this file.
//
// Some tables are checked row by row; their header decides (see rowChecks,
// TestRequestTables and TestStatusTables). Routes and rights must be those of
// docs/openapi.yaml, which internal/node compares with the program.
// Relative links must lead somewhere, flags and variables must exist and all flags
// must be in docs/replay.md or docs/options.md, log lines in tables must
// stand in the code, metrics must be those of a real backend and a real frontend,
// and every package must be in docs/ARCHITECTURE.md and import only what its floor
// lets it (TestFloors).
package docs
