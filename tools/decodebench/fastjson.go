package main

import "github.com/valyala/fastjson"

// fastJSON parses into a tree of values, over which a loop goes that knows the
// keys.
func fastJSON() candidate {
	parser := new(fastjson.Parser)
	return candidate{
		name: "fastjson",
		decode: func(data []byte, doc *document) error {
			*doc = document{}
			return fastEach(parser, data, func(name []byte, value *fastjson.Value) error { return fastMember(doc, name, value) })
		},
		identify: func(data []byte) (id identity, err error) {
			err = fastEach(parser, data, func(name []byte, value *fastjson.Value) error { return fastIdentity(&id, name, value) })
			return id, err
		},
	}
}

// fastEach calls a function for each member of an object that is not null.
func fastEach(parser *fastjson.Parser, data []byte, member func(name []byte, value *fastjson.Value) error) error {
	root, err := parser.ParseBytes(data)
	if err != nil {
		return err
	}
	object, err := root.Object()
	if err != nil {
		return err
	}
	object.Visit(func(name []byte, value *fastjson.Value) {
		if err == nil && value.Type() != fastjson.TypeNull {
			err = member(name, value)
		}
	})
	return err
}

func fastMember(doc *document, name []byte, value *fastjson.Value) (err error) {
	if to := doc.text(name); to != nil {
		text, err := value.StringBytes()
		*to = string(text)
		return err
	}
	switch string(name) {
	case "src_port":
		doc.SrcPort, err = port(value.Uint64())
	case "dst_port":
		doc.DstPort, err = port(value.Uint64())
	case "conn_id":
		doc.ConnID, err = value.Uint64()
	case "plugin_id":
		doc.PluginID, err = value.Uint64()
	case "plugin_sid":
		doc.PluginSID, err = value.Uint64()
	case "rcvd_time":
		doc.ReceivedAt, err = value.Int64()
	}
	return err
}

func fastIdentity(id *identity, name []byte, value *fastjson.Value) (err error) {
	var text []byte
	switch string(name) {
	case "plugin_id":
		id.PluginID, err = value.Uint64()
	case "plugin_sid":
		id.PluginSID, err = value.Uint64()
	case "product":
		text, err = value.StringBytes()
		id.Product = string(text)
	case "category":
		text, err = value.StringBytes()
		id.Category = string(text)
	}
	return err
}
