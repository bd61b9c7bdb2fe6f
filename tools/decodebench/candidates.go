package main

import (
	"errors"
	"net/netip"
	"time"
)

// document holds the members of an event as a JSON library delivers them.
type document struct {
	EventID      string `json:"event_id"`
	Timestamp    string `json:"timestamp"`
	SrcIP        string `json:"src_ip"`
	DstIP        string `json:"dst_ip"`
	SrcPort      uint16 `json:"src_port"`
	DstPort      uint16 `json:"dst_port"`
	Sensor       string `json:"sensor"`
	Protocol     string `json:"protocol"`
	Title        string `json:"title"`
	ConnID       uint64 `json:"conn_id"`
	PluginID     uint64 `json:"plugin_id"`
	PluginSID    uint64 `json:"plugin_sid"`
	Product      string `json:"product"`
	Category     string `json:"category"`
	Subcategory  string `json:"subcategory"`
	CustomData1  string `json:"custom_data1"`
	CustomLabel1 string `json:"custom_label1"`
	CustomData2  string `json:"custom_data2"`
	CustomLabel2 string `json:"custom_label2"`
	CustomData3  string `json:"custom_data3"`
	CustomLabel3 string `json:"custom_label3"`
	ReceivedAt   int64  `json:"rcvd_time"`
}

// identity holds what rules identify an event by.
type identity struct {
	PluginID  uint64 `json:"plugin_id"`
	PluginSID uint64 `json:"plugin_sid"`
	Product   string `json:"product"`
	Category  string `json:"category"`
}

// candidate is a decoder to compare. Its functions may keep buffers from call to
// call, so they are for one goroutine.
type candidate struct {
	name string
	// decode replaces *doc by the members of an event, whose strings do not alias
	// data.
	decode func(data []byte, doc *document) error
	// identify reads the identity by the fastest way that the library has, but goes
	// through the whole text, as a decoder must that answers for it. Its strings may
	// alias data.
	identify func(data []byte) (identity, error)
	// complete is set if decode also applies what completes an event, see complete.
	complete bool
	// missing says why the candidate cannot run here, "" if it can.
	missing string
}

func candidates() []candidate {
	return []candidate{own(), jsonV2(), goccy(), sonicJSON(), simdJSON(), fastJSON()}
}

// completed is what a library leaves to do: an event has a time and addresses,
// and something that rules identify it by.
type completed struct {
	at       time.Time
	src, dst netip.Addr
}

// complete does it as simply as the standard library allows, for the strictest
// of the forms that an event may have.
func complete(doc *document) (c completed, err error) {
	if c.at, err = time.Parse(time.RFC3339, doc.Timestamp); err != nil {
		return c, err
	}
	if c.src, err = netip.ParseAddr(doc.SrcIP); err != nil {
		return c, err
	}
	if c.dst, err = netip.ParseAddr(doc.DstIP); err != nil {
		return c, err
	}
	if (doc.PluginID == 0 || doc.PluginSID == 0) && (doc.Product == "" || doc.Category == "") {
		return c, errors.New("no identity")
	}
	return c, nil
}
