package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"viplog/adapters/doctor"
	"viplog/adapters/logfile"
	"viplog/adapters/probe"
	"viplog/core/event"
	"viplog/core/ledger"
)

const referencePath = "../../docs/reference.md"

// TestReferenceIsThatOfTheCode generates docs/reference.md from the types; -update writes it.
func TestReferenceIsThatOfTheCode(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referencePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not that of the code; run: go test ./cmd/viplog -run Reference -update", referencePath)
	}
}

func reference() string {
	var text strings.Builder
	text.WriteString("# Reference\n\nGenerated from the code; `go test ./cmd/viplog -run Reference -update` writes it anew.\n\n" +
		"## Facts\n\nThe body of a message on `viplog.<cluster>.log.<entity>`: one JSON object with these keys in this order,\n" +
		"without spaces; a key with `?` is absent where its value is empty. Headers are those of CloudEvents: `ce-id`,\n" +
		"`ce-source`, `ce-specversion`, `ce-type` and `ce-rules`, the least rules that a ledger must hold.\n")
	for _, e := range event.Types() {
		kind, _, _ := strings.Cut(e.Zero.Entity(), ".")
		fmt.Fprintf(&text, "\n### %s\n\n%s. Appended by: %s. Entity: `%s`.\n\n", e.Name, sentence(e.Doc), strings.TrimSuffix(e.By+", "+e.Also, ", "), kind)
		writeFields(&text, reflect.TypeOf(e.Zero), "")
	}
	text.WriteString("\n## Output as json\n\nEvery key is always there: `[]` and `\"\"`, never null.\n")
	for _, view := range []struct {
		name string
		zero any
	}{
		{"Status", statusView{}},
		{"ServiceList item", ledger.ServiceView{}},
		{"AddressList item", ledger.AddressView{}},
		{"PoolList item", ledger.PoolView{}},
		{"NodeList item", ledger.NodeView{}},
		{"Log, first line of an export", logfile.Head{}},
		{"Log, further lines", logfile.Entry{}},
		{"Plan", planView{}},
		{"Explanation", explanationView{}},
		{"HistoryList item", historyView{}},
		{"SimResult", simView{}},
		{"SimSummary", simSummaryView{}},
		{"Exploration", exploreView{}},
		{"WhatIf", whatifView{}},
		{"Forecast", forecastView{}},
		{"IdentityList", identitiesView{}},
		{"Probe", probeView{}},
		{"Probe, an item of a stream's outages", probe.Outage{}},
		{"Probe, an item of a stream's troubles", probe.Trouble{}},
		{"Probe, an item of the connections' endings", probe.Ending{}},
		{"Doctor", doctorView{}},
		{"Doctor, an item", doctor.Finding{}},
	} {
		fmt.Fprintf(&text, "\n### %s\n\n", view.name)
		writeFields(&text, reflect.TypeOf(view.zero), "")
	}
	return text.String()
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func writeFields(text *strings.Builder, t reflect.Type, indent string) {
	for f := range t.Fields() {
		if f.Anonymous {
			writeFields(text, f.Type, indent)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.Contains(options, "omit") {
			name += "?"
		}
		inner, shown := jsonType(f.Type)
		fmt.Fprintf(text, "%s- `%s`: %s\n", indent, name, shown)
		if inner != nil && indent == "" {
			writeFields(text, inner, "  ")
		}
	}
}

// jsonType names a field's type as a JSON reader sees it; inner is the struct whose fields are worth listing.
func jsonType(t reflect.Type) (inner reflect.Type, shown string) {
	switch t.String() {
	case "netip.Addr":
		return nil, "address"
	case "netip.Prefix":
		return nil, "CIDR"
	case "ipset.Count":
		return nil, "decimal number as text"
	case "time.Time":
		return nil, "time (RFC 3339)"
	case "[]uint8":
		return nil, "base64"
	}
	switch t.Kind() {
	case reflect.Slice:
		inner, shown = jsonType(t.Elem())
		return inner, "list of " + shown
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Struct:
		return t, "object"
	case reflect.Bool:
		return nil, "true or false"
	case reflect.String:
		return nil, "text"
	default:
		return nil, "number"
	}
}
