package cli_test

// The two files hold real alerts, one for each signature that fired, ordered by
// signature id and so not by time. The predictions below were made from the files
// and docs/spec/correlation.md alone, with this list:
//
//	jq -r 'to_entries[] | [.key, .value.timestamp, .value.src_ip, .value.src_port,
//	  .value.dest_ip, .value.alert.signature_id, .value.alert.category] | @tsv' FILE
//
// Numbers like #24 are places in the file, counted from 0. A signature occurs once
// in a file, so that its id names the event. Stage time-outs are longer than the
// time between the first and the last alert, so nothing expires and no event is
// outside the window of a stage (D31, D32). What happens is decided by order:
//
//   - D30: a record that is dated more than an hour ahead of the clock moves it only
//     if more than half of the records behind it are dated no more than an hour
//     before it. Otherwise the record is wrong, and is played at the time of the clock.
//     Where a comment says "dated", the event was played at another time than its own.
//   - D29: an event is foreign to a backlog if it is more than 5 s older than the
//     opener, in whole seconds. It is not swallowed there and may open another one.
//   - D33: when a stage begins, the backlog looks back at the events that came while
//     the clock was at most 60 s behind what it is now, and takes those that are later
//     than its own so far, in the order of their times. An event that another backlog
//     has taken counts again, unless the openers of both have the same source and the
//     other one is over, or its opener is not later than this one's.
//
// This shows how the clock goes: the jumps that move it, the records that are wrong
// (the summary's "future"), and the number of records that are more than 60 s behind
// it ("late" and "lagging"):
//
//	jq -c '[.[].timestamp[:19] + "Z" | fromdate] as $t | reduce range($t | length) as $i ({};
//	  $t[$i] as $now | $t[$i+1:] as $next |
//	  if .clock and $now <= .clock + 3600 then
//	    if $now < .clock - 60 then .late += 1 else . end | .clock = ([.clock, $now] | max)
//	  elif ($next | length) == 0
//	    or 2 * ([$next[] | select(. >= $now - 3600)] | length) > ($next | length)
//	  then .clock = $now | .jumps += [$i]
//	  else .wrong += [$i] end)' FILE
//
// A story is one backlog: the events of each stage in the order they were
// accepted, then its alarm lines, each with its risk and F for every finished
// stage. Stories are in the order in which the backlogs were opened.

// firstOrgStories predicts the alarms of testdata/suricata/first-org.
//
// The web server, 192.168.0.2, has value 5, the other hosts have 2.
//
// #0 (March 29) and #1 (March 26) are wrong: of the records behind them, fewer than
// half are as late. #2 (March 17, 02:18:37) is the first that is right. Then the clock is
// 02:20:50 from #9 on, 02:23:48 from #22, 02:24:13 from #23, 02:59:18 from #27 and
// 03:01:20 from #86. All that is dated March 18 or later is wrong until #125 (March 20,
// with 7 of the 10 behind it as late), and #135 is right because nothing follows it.
func firstOrgStories() []string {
	return []string{
		// 105: r1 is #2 (02:18:37). r2 would be #4 of the same source, but it is of 02:14:59
		// and so foreign. Risk of stage 1: 4×1×5/25 = 0, so there is no alarm at all.
		"1[2001743]",
		// 103: r1 is #4 (02:14:59) from 54.235.163.229. r2 wants four source ports: #29 has
		// 47661 (1), #35 48691 (2), #53 and #54 belong to the connection of #29 (swallowed),
		// #60 47472 (3), #63 47121 (4). #60 and #63 are older than #35, which does not matter:
		// they are not older than stage 1. r3 is #76, 02:25:49, later than #35, 02:24:33, which
		// is the end of stage 2. Risks: 4×1×5/25 = 0, then 4×5×5/25 = 4, then 4×10×5/25 = 8.
		"Sticky source port: 1[2002664] 2[2011768 2013001 2017436 2018056] 3[2019804] | 4/FF- 8/FFF",
		// 106: r1 is #4 (02:14:59), r2 is #2 (02:18:37). In the file #2 comes first, when there
		// is no backlog, and the clock is still at its time when #4 looks back. 4×1×5/25 = 0,
		// 4×10×5/25 = 8.
		"Against the order of the file: 1[2002664] 2[2001743] | 8/FF",
		// 102: r1 is #13 (02:11:37) of 67.207.202.9. #14, #15 and #24 of the same source are
		// signatures of r1, too, but foreign. #31 (02:12:19) is later and of the same source.
		// 3×3×5/25 = 1, 3×8×5/25 = 4.
		"Always active: 1[2009362] 2[2012230] | 1/F- 4/FF",
		// 102: #14 (02:08:47) is foreign to #13 and opens. #15 (02:08:48) is foreign to #13, and
		// stage 1 of #14 takes it. Its line is owed until #22, which moves the clock (D37).
		// #31 is later than these, too.
		"Always active: 1[2009714 2009715] 2[2012230] | 1/F- 1/F- 4/FF",
		// 101: r1 is #24 (02:07:42) of 67.207.202.9. #25 and #26 are signatures of r2, but of
		// another source. #31 is of the same: 3×2×5/25 = 1, then 3×10×5/25 = 6.
		"Joined by source: 1[2011141] 2[2012230] | 1/F- 6/FF",
		// 102: #24 (02:07:42) is foreign to #13 and to #14 (02:08:47). #31 is later.
		"Always active: 1[2011141] 2[2012230] | 1/F- 4/FF",
		// 102: #25 is of 95.199.31.163, whom the other backlogs do not take (§5.3.1). #26 is of
		// the same source and goes to stage 1. Both are dated March 18 and played at 02:24:13;
		// the line of #26 is owed until #27.
		"Always active: 1[2011142 2011143] | 1/F- 1/F-",
		// 104, host 192.168.0.54: opened by #27 (March 17, 02:59:18). #44 and #45 are foreign.
		// #48, dated March 19, counts. 5×3×2/25 = 1. One is missing at the end.
		"Taxonomy by category: 1[2011227] 2[2016097] | 1/F-",
		// 104: opened by #44 (March 13). It looks back at #27, which came at the same clock; that
		// #27 has a backlog does not matter, because #27 is later than #44. #45 (March 16) is
		// the second. 5×8×2/25 = 3.
		"Taxonomy by category: 1[2014122] 2[2011227 2014137] | 1/F- 3/FF",
		// 104, host 192.168.0.53: #62, #65, #79, #83 and #84 are dated April 7 and 8 and are all
		// played at 02:59:18. So none of them is older than another: #65 and #79 complete #62.
		"Taxonomy by category: 1[2017694] 2[2018582 2020644] | 1/F- 3/FF",
		// 104: #83 opens the next one; it has nothing to look back at, because the others are not
		// later than it. #84 counts, and #88 (dated April 13, played at 03:01:20) completes it.
		// The trojans of #2, #16, #53-#58, #63, #76, #80-#82 and #89 have a source outside.
		"Taxonomy by category: 1[2021251] 2[2021786 2025019] | 1/F- 3/FF",
	}
}

// firstOrgStoriesInOrder predicts the alarms of testdata/suricata/first-org if the
// alerts are played in the order of their times. All jumps are right then, and
// nothing is foreign, late, or found by looking back.
func firstOrgStoriesInOrder() []string {
	return []string{
		// 104, host 192.168.0.54: #44 (March 13), #45 (March 16), #27 (March 17, 02:59:18).
		"Taxonomy by category: 1[2014122] 2[2014137 2011227] | 1/F- 3/FF",
		// 101: #24 (02:07:42), #31 (02:12:19).
		"Joined by source: 1[2011141] 2[2012230] | 1/F- 6/FF",
		// 102: #24 (02:07:42); #14 (02:08:47), #15 (02:08:48) and #13 (02:11:37) go to stage 1,
		// each with its line at once, as each is in another second (D37); #31 (02:12:19).
		"Always active: 1[2011141 2009714 2009715 2009362] 2[2012230] | 1/F- 1/F- 1/F- 1/F- 4/FF",
		// 103: #4 (02:14:59); #63 (02:23:29), #60 (02:23:41), #29 (02:23:48), not #53 and #54 of
		// its connection, #35 (02:24:33); #76 (02:25:49).
		"Sticky source port: 1[2002664] 2[2018056 2017436 2011768 2013001] 3[2019804] | 4/FF- 8/FFF",
		// 106: #4 (02:14:59), #2 (02:18:37).
		"Against the order of the file: 1[2002664] 2[2001743] | 8/FF",
		// 105: #2 (02:18:37). #4 came before, when there was no backlog.
		"1[2001743]",
		// 102: #25 and #26 (March 18, both 03:04:09). The line of #26 is owed until #90 (03:57:03)
		// moves the clock.
		"Always active: 1[2011142 2011143] | 1/F- 1/F-",
		// 104, host 192.168.0.54: #48 (March 19), the last one of this host.
		"Taxonomy by category: 1[2016097] | 1/F-",
		// 104, host 192.168.0.53, April 7: #79 and #84 (07:34:44, the same packet, so in the order
		// of the file), #65 (07:35:05).
		"Taxonomy by category: 1[2020644] 2[2021786 2018582] | 1/F- 3/FF",
		// 104: #62 (April 7, 21:27), #83 (April 8), #88 (April 13, the last alert of all).
		"Taxonomy by category: 1[2017694] 2[2021251 2025019] | 1/F- 3/FF",
	}
}

// wrccdcStories predicts the alarms of testdata/suricata/wrccdc.
//
// None of the records that are dated wrong is of a directive. The clock is March 23,
// 18:21:42, from #22 on, and March 24, 14:27:56, from #85, 15:38:53 from #95, 18:00:51
// from #155, 18:43:13 from #156 and 18:45:59 from #178. So #155 is forgotten when #156
// comes, and what came until #177 when #178 comes.
func wrccdcStories() []string {
	return []string{
		// 203: r1 is #62 (14:02:50). #73 (14:02:34) of the same addresses is foreign to it.
		// 5×1×3/25 = 0.
		"1[2019232]",
		// 201: r1 is #108, 10.128.0.201 → 10.47.3.10 (value 5), 14:02:33. #110, #111, #113 and
		// #115 (14:16:59) are of the same addresses; #112 and #114 are of 10.128.0.236.
		// 5×3×5/25 = 3, 5×10×5/25 = 10.
		"PowerShell after a scheduled job: 1[2025713] 2[2025719 2025720 2025722 2025724] | 3/F- 10/FF",
		// 202: all of #155-#206, by destination; 3×2×3/25 = 0, so there is no line for
		// stage 1, and 3×9×3/25 = 3. Events that complete a backlog end it. Of those with
		// the same destination only #155 and #157, and #156 and #158, have the same source.
		//
		// 10.47.44.10: #155 18:00:51 opens; #157, the same second, counts: the first event is
		// not in the store of stage 2 (§4). #175 and #189 18:00:55 complete it. #172 and #181,
		// of 16:04, are foreign.
		"Four Tor relays: 1[2520098] 2[2522098 2522508 2522958] | 3/FF",
		// 10.47.24.170: #156, #158 the same second.
		"1[2520132] 2[2522132]",
		// 10.47.23.81: #159 18:30:30, #165 18:30:39, #166 18:30:28 (2 s older than the opener, which
		// is within the tolerance), #167 18:31:44.
		"Four Tor relays: 1[2522180] 2[2522296 2522308 2522358] | 3/FF",
		// 10.47.44.68: #160 15:36:45, #161 and #162 15:36:42 (3 s older), #163 16:17:56.
		"Four Tor relays: 1[2522228] 2[2522238 2522242 2522280] | 3/FF",
		// 10.47.43.10: #164 15:57:48, #174 17:10:30, #180 17:10:27, #185 17:00:49.
		"Four Tor relays: 1[2522284] 2[2522498 2522544 2522674] | 3/FF",
		// 10.47.24.25: #168 18:40:11, #187 18:40:08 (3 s older).
		"1[2522392] 2[2522706]",
		// 10.47.46.10: #169 18:02:21, #186 18:02:27.
		"1[2522442] 2[2522676]",
		// 10.47.44.68 again: #170 16:17:56.089 looks back at #163 16:17:56.115, the only later
		// one. #184 16:17:55.163 and #191 16:17:55.191 are 1 s older.
		"Four Tor relays: 1[2522444] 2[2522280 2522670 2522984] | 3/FF",
		// 10.47.24.80: #171 16:00:25.292, #179 16:00:25.294, #190 16:14:33, #205 16:00:28.
		"Four Tor relays: 1[2522450] 2[2522540 2522968 2523276] | 3/FF",
		// 10.47.44.10: #172 16:04:39 is foreign to #155. It looks back at #157 18:00:51 (#155 is
		// forgotten). #175 18:00:55 counts for both. #181 16:04:34 is 5 s older than #172 in
		// whole seconds, which is the last that counts.
		"Four Tor relays: 1[2522470] 2[2522098 2522508 2522546] | 3/FF",
		// 10.47.21.81: #173 18:36:36, #193 18:36:43.
		"1[2522480] 2[2523000]",
		// 10.47.21.82: #176 18:32:16, #188 and #204 18:32:23.
		"1[2522514] 2[2522864 2523266]",
		// 10.47.23.81 again: #177 18:30:28.523 looks back at #159 18:30:30, #165 18:30:39, #167
		// 18:31:44; #166 18:30:28.444 is not later.
		"Four Tor relays: 1[2522530] 2[2522180 2522296 2522358] | 3/FF",
		// 10.47.24.82: #178. 10.47.2.155: #182.
		"1[2522536]",
		"1[2522568]",
		// 10.47.23.81 again: #183 18:37:47. All before it is older.
		"1[2522576]",
		// 10.47.43.10 again: #192 17:00:49.543 looks back at #185 17:00:49.573 and #180 17:10:27
		// (#174 17:10:30 came before #178, and is forgotten). #195 17:10:30 completes it.
		"Four Tor relays: 1[2522992] 2[2522674 2522544 2523016] | 3/FF",
		// 10.47.23.81: #194 18:33:13 is foreign to #183 18:37:47, and looks back at it.
		"1[2523006] 2[2522576]",
		// 10.47.8.151: #196.
		"1[2523104]",
		// 10.47.44.68 again: #197 15:36:45 looks back at #184 16:17:55.163 and #191 16:17:55.191
		// (#163 and #170 are forgotten). #198 16:17:51 completes it.
		"Four Tor relays: 1[2523158] 2[2522670 2522984 2523186] | 3/FF",
		// 10.47.43.10 again: #199 17:10:31. What comes now is foreign to it.
		"1[2523220]",
		// 10.47.43.10: #200 15:57:44 looks back at #192 17:00:49.543, #185 17:00:49.573, #180
		// 17:10:27.
		"Four Tor relays: 1[2523230] 2[2522992 2522674 2522544] | 3/FF",
		// 10.47.43.10: #201 15:57:48.703 likewise.
		"Four Tor relays: 1[2523258] 2[2522992 2522674 2522544] | 3/FF",
		// 10.47.44.10 again: #202 16:04:39 looks back at #189 18:00:55 (#157 and #175 are
		// forgotten). #206 16:09:18 counts.
		"1[2523260] 2[2522958 2523330]",
		// 10.47.43.10: #203 17:00:49.563 looks back at #185 17:00:49.573, #180 17:10:27, #195
		// 17:10:30.
		"Four Tor relays: 1[2523264] 2[2522674 2522544 2523016] | 3/FF",
	}
}

// wrccdcStoriesInOrder predicts the alarms of testdata/suricata/wrccdc if the alerts
// are played in the order of their times.
func wrccdcStoriesInOrder() []string {
	return []string{
		// 201: #108 14:02:33; #110, #111, #113 and #115 14:16:59, one packet.
		"PowerShell after a scheduled job: 1[2025713] 2[2025719 2025720 2025722 2025724] | 3/F- 10/FF",
		// 203: #62 14:02:50. #73 14:02:34 came before, when there was no backlog.
		"1[2019232]",
		// 202 is from here on. 10.47.8.151: #196, March 23. 10.47.2.155: #182 15:20:11.
		"1[2523104]",
		"1[2522568]",
		// 10.47.44.68: #161 15:36:42.342, #162 15:36:42.346, #160 15:36:45.394, #197 15:36:45.413.
		"Four Tor relays: 1[2522238] 2[2522242 2522228 2523158] | 3/FF",
		// 10.47.43.10: #200 15:57:44, #201 15:57:48.703, #164 15:57:48.717, #192 17:00:49.543.
		"Four Tor relays: 1[2523230] 2[2523258 2522284 2522992] | 3/FF",
		// 10.47.24.80: #171 16:00:25.292, #179 16:00:25.294, #205 16:00:28, #190 16:14:33.
		"Four Tor relays: 1[2522450] 2[2522540 2523276 2522968] | 3/FF",
		// 10.47.44.10: #181 16:04:34, #172 16:04:39.817, #202 16:04:39.829, #206 16:09:18.
		"Four Tor relays: 1[2522546] 2[2522470 2523260 2523330] | 3/FF",
		// 10.47.44.68: #198 16:17:51, #184 16:17:55.163, #191 16:17:55.191, #170 16:17:56.089.
		"Four Tor relays: 1[2523186] 2[2522670 2522984 2522444] | 3/FF",
		// 10.47.44.68: #163 16:17:56.115.
		"1[2522280]",
		// 10.47.43.10: #203 17:00:49.563, #185 17:00:49.573, #180 17:10:27, #174 17:10:30.968.
		"Four Tor relays: 1[2523264] 2[2522674 2522544 2522498] | 3/FF",
		// 10.47.43.10: #195 17:10:30.974, #199 17:10:31.
		"1[2523016] 2[2523220]",
		// 10.47.44.10: #155 and #157 18:00:51 (one packet), #189 18:00:55.459, #175 18:00:55.486.
		"Four Tor relays: 1[2520098] 2[2522098 2522958 2522508] | 3/FF",
		// 10.47.46.10: #169 18:02:21, #186 18:02:27.
		"1[2522442] 2[2522676]",
		// 10.47.23.81: #166 18:30:28.444, #177 18:30:28.523, #159 18:30:30, #165 18:30:39.
		"Four Tor relays: 1[2522308] 2[2522530 2522180 2522296] | 3/FF",
		// 10.47.23.81: #167 18:31:44, #194 18:33:13, #183 18:37:47.
		"1[2522358] 2[2523006 2522576]",
		// 10.47.21.82: #176 18:32:16, #188 18:32:23.100, #204 18:32:23.838.
		"1[2522514] 2[2522864 2523266]",
		// 10.47.21.81: #173 18:36:36, #193 18:36:43.
		"1[2522480] 2[2523000]",
		// 10.47.24.25: #187 18:40:08, #168 18:40:11.
		"1[2522706] 2[2522392]",
		// 10.47.24.170: #156 and #158 18:43:13 (one packet). 10.47.24.82: #178 18:45:59.
		"1[2520132] 2[2522132]",
		"1[2522536]",
	}
}
