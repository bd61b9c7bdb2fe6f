// Package scenario reads behaviour scenarios of the correlation engine, written
// in a short line notation, and checks what an engine made of them. It is test
// support: it turns a scenario into the files a user would write, and compares
// the files the engine writes with what the scenario wants. It never runs an
// engine, and it holds no state but the Checker a caller makes.
//
// The scenarios are in testdata: the rows of docs/spec/correlation.md §13.1 (01…62),
// §13.3 (p01…p11) and §13.4 (c01…c12, some in several files), and what no row
// shows (x01…). All hands them to the tests of other packages.
//
// # A scenario file
//
// A scenario is a txtar archive. The text before the first section says what it
// shows. This is a whole one:
//
//	Five failed logins, then a good one.
//	-- directives --
//	directive priority=5
//	r1 rel1
//	r2 from=:1 to=:1 occ4 rel3 timeout=300
//	r3 sid2 from=:1 to=:1 rel10
//	-- events --
//	f1..f5 .7>.2
//	x .9>.2 sid2
//	ok .7>.2 sid2 +60
//	-- want --
//	f1: 1[f1] 2[f2..f5] 3[ok]
//	f1: 2/FF- Low; 8/FFF High
//
// In every section a line is a row of words separated by blanks; "…" around a
// value keeps its blanks; # starts a comment; empty lines mean nothing. Anything
// that is not understood is an error that names file and line.
//
// # assets
//
// One asset per line; without the section it is 10.0.0.0/8 value4.
//
//	10.0.0.0/8 value4
//	10.0.0.2/32 value5 whitelisted name="web server"
//
// # directives
//
// A directive line starts a directive, the rules follow. Without one, the rules
// belong to a plain "directive". All words are optional:
//
//	directive id=1 name=D1 priority=3 kingdom=K category=C always-active disabled
//
// The default name is D and the id. A rule line starts with r and the stage; the
// order of the lines is the order in the file. The defaults are:
//
//	r1 pid1001 sid1 occ1 from=ANY to=ANY port_from=ANY port_to=ANY protocol=ANY rel1 timeout=0
//
// except that the timeout of stages above 1 is 600 seconds. Further words:
//
//	sid2,3,4             several plugin SIDs
//	tax=FW,IDS/Deny/x,y  a TaxonomyRule: products, category, subcategories (may be left out)
//	sticky=DST_PORT      sticky_different
//	cd1="foo bar, baz"   custom_data1; cd2, cd3 and label1..label3 likewise
//	name=scan            the rule's name; default r and the stage
//
// A line "all WORD…" puts its words in front of those of every following rule of
// the same directive.
//
// # Whole configuration files
//
// A section assets_NAME.json or directives_NAME.json is a file as it stands, for
// what the notation cannot say. There may be any number of them, also next to the
// section assets or directives, which is the file assets_scenario.json or
// directives_scenario.json. A section of the one word "none" stands for no file.
//
// # events
//
// One event per line, in the order of arrival: its event id, then words. The
// defaults are plugin 1001, SID 1, 10.0.0.1 to 10.0.0.2, no ports, protocol TCP,
// sensor s, title t.
//
//	e1 .7>8.8.8.8        addresses; .7 is 10.0.0.7; a side left out keeps its default
//	e1 port:1000>80      ports; a side may be left out
//	e1 pid1002 sid2      plugin id and SID
//	e1 tax=FW/Deny/x     product, category, subcategory; no plugin then, unless pid or sid is given
//	e1 cd1=joe label1=user protocol=UDP title=t sensor=s
//	e1 +13   e1 -0.5     the time, in seconds from the base time (Base)
//	e1 zone=+07:00       the same time, written in another time zone
//	e5..e17 sid2         thirteen events
//	e2 again             the very same event once more
//	e1 -60 @+5           an event of a minute before the base time that arrives five seconds after
//	e2 again @+600       the same event once more, ten minutes after
//	all sid3 gap=0       words for all following events; gap is the default distance in seconds
//
// An event without a time comes one gap (1 s) after the event on the line
// before it, the first one at the base time; lines with "again" do not count.
// In a second run the first event comes one gap after the last of the first run.
// A line that starts with { is passed on as it stands, for events that the
// notation cannot say; it has no part in these times:
//
//	{"event_id":"e1","timestamp":"2023-11-14 22:13:20Z","src_ip":"::ffff:10.0.0.1"}
//
// An event without an arrival comes when all before it have come and its own time is
// reached: that is the clock of a replay, and waiting is written as an
// event that no rule wants: "tick sid99 +13". An event that is dated an hour ahead or
// more must be confirmed by those after it: jumps that are not need --max-jump.
//
// # options
//
// Flags of dsiem replay, one or more per line: --min-alarm-lifetime (minutes),
// --med-risk-min, --med-risk-max, --status, --tags, --expand-titles,
// --expire-all, --order-tolerance, --look-back, --remember (5s, 60s and 1h by default),
// --max-alarm-values, --max-jump (which an engine has none of), and for scenarios of several runs --save-backlogs SAVED and
// --load-backlogs SAVED, where SAVED is the one folder all runs share.
//
// # want
//
// A backlog is named by the event that opened it. Where one event opens several,
// the second is e1~2, the third e1~3, in the order of output.
//
//	e1: 1[e1] 2[e2 e4..e7]      its alarm-event lines in order: stage[event ids]
//	e1: 2/FF- Low; 4/FFF High   its alarm lines in order: risk/rules class
//	e1: 1/FF- Low *4            four such lines
//	e1: live 2 3/5              alive at the end, in stage 2, with 3 of 5 events
//	e1..e3: 1[*]                the same for three backlogs; * is the event that opened it
//	e1: 1[e1] 2["" ""]          "" is an event without an id, also as the name of a backlog: its
//	                            line shows the id that a replay gives it
//
// Rejected events are counted by reason, in one line.
//
//	rejected: bad_type 2, bad_json 1
//
// A rule is F finished, T timed out, - neither. A second line of the same kind
// continues the first. All of these are complete: every line, every live backlog
// and every rejected event that is not listed is a failure. If nothing at all may
// happen, the section is the word "nothing".
//
// The form of all lines is checked in any case: their keys and the order of these,
// values that a rule or an alarm cannot have, HTML escapes.
//
// Details of single lines are stated by path. A path is made of keys and [index]
// parts; r2 is the rule of stage 2. A value is JSON, a time (+N seconds from the
// base time), "absent", or "count N" for the length of a list.
//
//	e1 alarm 2: r3.from = "10.0.0.1"
//	e1 alarm 2: update_time = +13
//	e1 alarm 2: r2.end_time absent
//	saved e1: r2.saved_event_ids count 1
//
// What the program says and leaves behind:
//
//	start-up error: "10.0.0.1/24"   it ends with exit code 1 and this text, before any event
//	option error: "from 5 to 5"     it ends with exit code 2 and this text, before anything else
//	message: "1.json"               this text is in its messages
//	saved 1.json: gone              the file is not in SAVED after the run
//
// Several texts after each other, "a.json" "name: ", stand in one line of the
// messages, in this order.
//
// # want.json
//
// The alarms of a run can also be stated as they are in siem_alarms.json, so that
// who knows an alarm can read them. The section is a row of JSON documents, each on
// one line or several; it stands beside want, or alone.
//
//	{"alarm_id": "e1", "risk": 4, "update_time": "+8", "intel_hits": null,
//	 "rules": [{"stage": 1, "status": "finished"}, {"status": null}, {}]}
//
// Each document is a part of the last line of one alarm in the run. The alarm_id,
// which is another one in every run, is written as the name of the backlog: e1,
// e1~2. Everything else is compared with the line so:
//
//   - Of an object, every key that is given must be there, with a value that
//     compares so; null says that the key must be absent. Other keys do not matter.
//   - A list must have as many elements as the one that is given, and these are
//     compared one by one, in order. Rules are such a list: all must be there, {}
//     for one of which nothing is said.
//   - A number may be given as "+N": the time N seconds after the base time.
//   - All other values must be equal.
//
// Every alarm of the run must have a document, and every document an alarm. Each
// place that differs is reported by its path, such as rules[1].status. A key that
// no alarm can have is a mistake in the scenario.
//
// Beside want nothing of want is left out: all that it says is complete still. If
// want.json stands alone, the alarm-event lines, the alarm lines before the last
// ones and the live backlogs are whatever they are; their form is checked, and no
// event may be rejected.
//
// # Several runs
//
// Sections named run1/events, run1/want, run2/events … make a scenario of
// several runs over the folder SAVED; a section without a prefix belongs to the
// first run. Later runs keep the files of assets, and those of directives, of the
// run before unless they have their own. Before a run the saved files can be
// changed: a section run2/saved/1.json is the whole new file, and the lines of
// run2/saved are
//
//	1.json[0] r2.status = "timeout"   set a value in the first backlog
//	1.json append {"alarm_id":"x"}    add an element; prepend likewise
//	1.json junk 20000                 replace the file by that many bytes
package scenario
