package main

import "github.com/minio/simdjson-go"

// simdJSON parses into a tape, over which a loop goes that knows the keys.
func simdJSON() candidate {
	const name = "simdjson-go"
	if !simdjson.SupportedCPU() {
		return candidate{name: name, missing: "needs a processor with AVX2 and CLMUL"}
	}
	tape := new(simdTape)
	return candidate{
		name: name,
		decode: func(data []byte, doc *document) error {
			*doc = document{}
			return tape.each(data, func(name []byte, value *simdjson.Iter) error { return simdMember(doc, name, value) })
		},
		identify: func(data []byte) (id identity, err error) {
			err = tape.each(data, func(name []byte, value *simdjson.Iter) error { return simdIdentity(&id, name, value) })
			return id, err
		},
	}
}

// simdTape is what the library can use again for the next text.
type simdTape struct {
	parsed *simdjson.ParsedJson
	object simdjson.Object
	value  simdjson.Iter
}

// each calls a function for each member of an object that is not null.
func (t *simdTape) each(data []byte, member func(name []byte, value *simdjson.Iter) error) (err error) {
	if t.parsed, err = simdjson.Parse(data, t.parsed, simdjson.WithCopyStrings(false)); err != nil {
		return err
	}
	iter := t.parsed.Iter()
	iter.AdvanceInto()
	if _, _, err = iter.Root(&t.value); err != nil {
		return err
	}
	if _, err = t.value.Object(&t.object); err != nil {
		return err
	}
	for {
		name, kind, err := t.object.NextElementBytes(&t.value)
		if err != nil || kind == simdjson.TypeNone {
			return err
		}
		if kind == simdjson.TypeNull {
			continue
		}
		if err := member(name, &t.value); err != nil {
			return err
		}
	}
}

func simdMember(doc *document, name []byte, value *simdjson.Iter) (err error) {
	if to := doc.text(name); to != nil {
		text, err := value.StringBytes()
		*to = string(text)
		return err
	}
	switch string(name) {
	case "src_port":
		doc.SrcPort, err = port(value.Uint())
	case "dst_port":
		doc.DstPort, err = port(value.Uint())
	case "conn_id":
		doc.ConnID, err = value.Uint()
	case "plugin_id":
		doc.PluginID, err = value.Uint()
	case "plugin_sid":
		doc.PluginSID, err = value.Uint()
	case "rcvd_time":
		doc.ReceivedAt, err = value.Int()
	}
	return err
}

func simdIdentity(id *identity, name []byte, value *simdjson.Iter) (err error) {
	switch string(name) {
	case "plugin_id":
		id.PluginID, err = value.Uint()
	case "plugin_sid":
		id.PluginSID, err = value.Uint()
	case "product":
		id.Product, err = value.String()
	case "category":
		id.Category, err = value.String()
	}
	return err
}
