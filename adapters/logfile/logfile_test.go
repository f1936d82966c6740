package logfile

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

var update = flag.Bool("update", false, "rewrite the digests of the recorded logs")

const recordings = "../../fixtures/logs"

func read(t *testing.T, path string) *Recording {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recording, err := Read(filepath.Base(path), file)
	if err != nil {
		t.Fatal(err)
	}
	return recording
}

// Old logs replay to the same digest for ever, under the rules that they were recorded with.
func TestRecordedLogsReplayToTheirDigests(t *testing.T) {
	paths, err := filepath.Glob(recordings + "/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded logs: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			digestPath := strings.TrimSuffix(path, ".jsonl") + ".digest"
			recording := read(t, path)
			got := recording.Fold().Digest().String() + "\n"
			if *update {
				if err := os.WriteFile(digestPath, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(digestPath)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("digest %s, recorded is %s", got, want)
			}
			s := ledger.New(recording.Head.ID)
			for _, e := range recording.Entries {
				for _, c := range s.ApplyEntry(e) {
					if c.Kind == ledger.Rejected {
						t.Errorf("fact %d is rejected: %s", e.Sequence, c.Reason)
					}
				}
			}
		})
	}
}

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
