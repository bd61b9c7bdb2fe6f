package main

import "strings"

// text is an event to decode.
type text struct {
	name string
	data []byte
}

// texts returns the events that are measured: as a log shipper writes them, of
// about 500 bytes and 1 KiB, and of 1 KiB with escapes and letters outside ASCII.
func texts() []text {
	const filling = "GET /cgi-bin/vulnerable?id=1&name=value HTTP/1.1 "
	const fillingEscaped = `GET \/cgi-bin\/a?id=1\u0026name=\u00e9ß HTTP\/1.1\r\n \"é\" `
	return []text{
		{"500 B", event("ET EXPLOIT Possible CVE-2014-6271 Attempt in Headers", filling[:40])},
		{"1 KiB", event("ET EXPLOIT Possible CVE-2014-6271 Attempt in Headers", strings.Repeat(filling, 11))},
		{"1 KiB, escapes", event(`ET EXPLOIT \"Possible\" CVE-2014-6271 <tentative détectée> \ud83d\ude00`, strings.Repeat(fillingEscaped, 8))},
	}
}

// event returns an event with a title and a text of custom data.
func event(title, custom string) []byte {
	return []byte(`{"event_id":"0a7d5a2e-8f0b-4a53-9b8e-6f1f3f1c2d4e","timestamp":"2023-06-16T08:41:22.345678Z",` +
		`"sensor":"suricata-sensor-01","title":"` + title + `","product":"Intrusion Detection System",` +
		`"category":"Attempted Administrator Privilege Gain","plugin_id":1001,"plugin_sid":2019232,"protocol":"TCP",` +
		`"src_ip":"192.168.84.17","src_port":51532,"dst_ip":"10.73.255.10","dst_port":80,` +
		`"custom_label1":"http_uri","custom_data1":"` + custom + `"}`)
}
