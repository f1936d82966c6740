package clusterfile

import (
	"errors"
	"strings"
	"testing"

	"viplog/core/event"
)

// FuzzParse holds the package's invariant: no bytes make Parse panic, a refusal is Problems with lines of the file, one
// per line, and a File's facts are accepted by the log.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*.yaml", "invalid/*.yaml"} {
		for _, path := range glob(f, pattern) {
			f.Add(readFile(f, path))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f.yaml", data)
		if err != nil {
			checkRefusal(t, file, err, data)
			return
		}
		if (file.Notice == "") != (file.Mode == ModeBundled && file.Type == TypeLayer2) {
			t.Errorf("mode %q, type %q, notice %q", file.Mode, file.Type, file.Notice)
		}
		events := []event.Event{file.Settings}
		if file.Mode == ModeBundled {
			events = append(events, file.Cluster)
		}
		for _, p := range file.Pools {
			events = append(events, event.PoolAdded{Pool: p})
		}
		for _, e := range events {
			record, err := event.Encode(e)
			if err != nil {
				t.Fatalf("%v\n%+v", err, e)
			}
			if _, err := event.Decode(record); err != nil {
				t.Fatalf("%v\n%s", err, record.Data)
			}
		}
	})
}

func checkRefusal(t *testing.T, file *File, err error, data []byte) {
	t.Helper()
	var problems Problems
	if file != nil || !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("a refusal must be Problems and no File: %v, %v", file, err)
	}
	lines := 2 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
	for _, p := range problems {
		if p.Line < 1 || p.Line > lines || strings.ContainsAny(p.String(), "\n\r") || p.Message == "" {
			t.Errorf("of %d lines: %q", lines, p.String())
		}
	}
}
