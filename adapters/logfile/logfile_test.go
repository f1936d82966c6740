package logfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viplog/core/event"
	"viplog/core/log"
)

func entries() []log.Entry {
	return []log.Entry{
		{
			Fact: log.Fact{
				Record: event.Record{Type: "viplog.NodeDrained.v1", Entity: "drain.10_0_0_5", Data: []byte(`{"address":"10.0.0.5","reason":"<&>"}`)},
				ID:     "a", Source: "cli/1",
			},
			Sequence: 1, Time: time.Date(2026, 1, 1, 0, 0, 0, 7, time.UTC),
		},
		{
			Fact:     log.Fact{Record: event.Record{Type: "", Entity: "node.x", Data: []byte{0xff, 0x00}}, ID: "b", Source: "?"},
			Sequence: 2, Time: time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC),
		},
	}
}

func TestWhatIsWrittenIsReadByteForByte(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, "test", log.Head{ID: "id", First: 1, Last: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := Read("test", &file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries(), got.Entries); diff != "" || got.Head.ID != "id" {
		t.Error(diff)
	}
}

func TestWhatIsNoWholeLogIsRefused(t *testing.T) {
	const head = `{"apiVersion":"viplog/v1","kind":"Log","cluster":"c","id":"i","first":1,"last":1}` + "\n"
	const entry = `{"sequence":1,"time":"2026-01-01T00:00:00Z","entity":"e","type":"t","rules":0,"id":"a","source":"s","data":"{}"}` + "\n"
	for name, test := range map[string]struct{ text, want string }{
		"empty":       {"", "it is empty"},
		"no head":     {entry, `x:1: not an exported log: the first line must be "viplog/v1" "Log"`},
		"cut off":     {head, "it has 0 facts of 1"},
		"a hole":      {head + strings.Replace(entry, `:1,`, `:2,`, 1), "x:2: not an exported log: fact 2 where 1 must be"},
		"too many":    {head + entry + strings.Replace(entry, `:1,`, `:2,`, 1), "it has 2 facts of 1"},
		"no JSON":     {head + "nonsense\n", "x:2: not an exported log"},
		"other field": {head + strings.Replace(entry, `"id"`, `"uid"`, 1), `unknown field "uid"`},
		"purged":      {strings.Replace(head, `"first":1`, `"first":9`, 1), "it begins at fact 9"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("x", strings.NewReader(test.text))
			if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
