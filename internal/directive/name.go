package directive

import (
	"slices"
	"strings"

	"dsiem/internal/jsonfile"
)

// What a directive's name may hold of the event that opens the backlog (D4).
const (
	srcIP = "SRC_IP"
	dstIP = "DST_IP"
)

// doubtName warns of words in a directive's name that look as if an alarm's title
// would have a value of the event in their place.
func doubtName(s *jsonfile.Scope) {
	v := s.Object.Get("name")
	if v == nil || v.Kind != jsonfile.String {
		return
	}
	at := 0
	for word := range strings.FieldsFuncSeq(v.Text, func(r rune) bool { return !isWordRune(r) }) {
		at += strings.Index(v.Text[at:], word)
		if msg := doubtWord(word, v.Text[:at]); msg != "" {
			s.Warnf(jsonfile.NameNotReplaced, v.At(at), "name", "%s", msg)
		}
		at += len(word)
	}
}

func isWordRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// doubtWord says what is doubtful about a word and what stands before it; "" if
// nothing is.
func doubtWord(word, before string) string {
	if word == srcIP || word == dstIP {
		if sign := before[max(0, len(before)-1):]; sign == "$" || sign == "%" || sign == "{" {
			return jsonfile.Quote(sign) + " before " + word + " stays in the title; write " + word + " alone"
		}
		return ""
	}
	if strings.Contains(word, srcIP) || strings.Contains(word, dstIP) {
		return "" // replaced in the middle of a word
	}
	const notReplaced = " in a name is not replaced"
	switch strings.ReplaceAll(strings.ToUpper(word), "_", "") {
	case "SRCIP", "SOURCEIP":
		return jsonfile.Quote(word) + notReplaced + "; write " + srcIP
	case "DSTIP", "DESTIP", "DESTINATIONIP":
		return jsonfile.Quote(word) + notReplaced + "; write " + dstIP
	}
	if looksReplaced(word) {
		return jsonfile.Quote(word) + notReplaced + "; only " + srcIP + " and " + dstIP + " are"
	}
	return ""
}

// looksReplaced reports whether a word is an event field in capital letters, or
// somebody's address.
func looksReplaced(word string) bool {
	fields := []string{
		"EVENT_ID", "PLUGIN_ID", "PLUGIN_SID", "SRC_PORT", "DST_PORT",
		"CUSTOM_DATA1", "CUSTOM_DATA2", "CUSTOM_DATA3", "CUSTOM_LABEL1", "CUSTOM_LABEL2", "CUSTOM_LABEL3",
	}
	address := strings.HasSuffix(word, "_IP") && word == strings.ToUpper(word) && word != "TCP_IP"
	return address || slices.Contains(fields, word)
}
