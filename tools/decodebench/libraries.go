package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/bytedance/sonic"
	json2 "github.com/go-json-experiment/json"
	gojson "github.com/goccy/go-json"

	dsiem "dsiem/internal/event"
)

// own is the scanner of package event. What it decodes is complete, so there is
// no document on the way: the members that the rules ask about are copied.
func own() candidate {
	var ev dsiem.Event
	var seen identity
	nobody := func(id dsiem.Identity) bool { // it gets the texts as bytes of data
		seen.PluginID, seen.PluginSID = id.PluginID, id.PluginSID
		return false
	}
	return candidate{
		name:     "own scanner",
		complete: true,
		decode: func(data []byte, doc *document) error {
			if rejection := dsiem.Decode(data, &ev); rejection != nil {
				return rejection
			}
			doc.EventID, doc.Title, doc.SrcPort, doc.PluginSID = ev.ID, ev.Title, ev.SrcPort, ev.PluginSID
			return nil
		},
		identify: func(data []byte) (identity, error) {
			rejection, skipped := dsiem.DecodeWanted(data, &ev, nobody)
			switch {
			case rejection != nil:
				return identity{}, rejection
			case !skipped:
				return identity{}, errors.New("decoded, though nobody wants it")
			}
			return seen, nil
		},
	}
}

// jsonV2 is the implementation of encoding/json/v2 outside the standard library,
// with its defaults.
func jsonV2() candidate {
	return candidate{
		name: "json/v2",
		decode: func(data []byte, doc *document) error {
			*doc = document{}
			return json2.Unmarshal(data, doc)
		},
		identify: func(data []byte) (id identity, err error) {
			err = json2.Unmarshal(data, &id)
			return id, err
		},
	}
}

func goccy() candidate {
	return candidate{
		name: "goccy/go-json",
		decode: func(data []byte, doc *document) error {
			*doc = document{}
			return gojson.Unmarshal(data, doc)
		},
		identify: func(data []byte) (id identity, err error) {
			err = gojson.Unmarshal(data, &id)
			return id, err
		},
	}
}

// sonicJSON has the strictest settings that it offers for reading. It compiles
// machine code for the types when it meets them first.
func sonicJSON() candidate {
	api := sonic.Config{ValidateString: true, CopyString: true, CaseSensitive: true}.Froze()
	return candidate{
		name: "sonic",
		decode: func(data []byte, doc *document) error {
			*doc = document{}
			return api.Unmarshal(data, doc)
		},
		identify: func(data []byte) (id identity, err error) {
			err = api.Unmarshal(data, &id)
			return id, err
		},
	}
}

// port narrows a number for a library that has no type for ports.
func port(n uint64, err error) (uint16, error) {
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint16 {
		return 0, fmt.Errorf("%d is no port", n)
	}
	return uint16(n), nil
}

// text returns the place of a text member, nil for any other name.
func (doc *document) text(name []byte) *string {
	switch string(name) {
	case "event_id":
		return &doc.EventID
	case "timestamp":
		return &doc.Timestamp
	case "src_ip":
		return &doc.SrcIP
	case "dst_ip":
		return &doc.DstIP
	case "sensor":
		return &doc.Sensor
	case "protocol":
		return &doc.Protocol
	case "title":
		return &doc.Title
	case "product":
		return &doc.Product
	case "category":
		return &doc.Category
	case "subcategory":
		return &doc.Subcategory
	case "custom_data1":
		return &doc.CustomData1
	case "custom_label1":
		return &doc.CustomLabel1
	case "custom_data2":
		return &doc.CustomData2
	case "custom_label2":
		return &doc.CustomLabel2
	case "custom_data3":
		return &doc.CustomData3
	case "custom_label3":
		return &doc.CustomLabel3
	}
	return nil
}
