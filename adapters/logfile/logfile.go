// Package logfile reads and writes exported logs: one JSON object a line, a head and then the entries, byte for byte as
// the log holds them.
package logfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

const (
	apiVersion = "viplog/v1"
	kind       = "Log"
)

// Head is the first line.
type Head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Cluster    string `json:"cluster"`
	ID         string `json:"id"` // the log's identity: a replay starts from ledger.New(id)
	First      uint64 `json:"first"`
	Last       uint64 `json:"last"`
}

// Entry is every further line. Data is the fact's bytes as they are; those that are no text are in DataBase64.
type Entry struct {
	Sequence   uint64    `json:"sequence"`
	Time       time.Time `json:"time"`
	Entity     string    `json:"entity"`
	Type       string    `json:"type"`
	Rules      uint64    `json:"rules"`
	ID         string    `json:"id"`
	Source     string    `json:"source"`
	Data       string    `json:"data"`
	DataBase64 []byte    `json:"dataBase64,omitempty"`
}

// Writer writes a log. Flush it at the end.
type Writer struct {
	out     *bufio.Writer
	encoder *json.Encoder
}

// NewWriter writes the head of a cluster's log.
func NewWriter(w io.Writer, cluster string, head log.Head) (*Writer, error) {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(Head{apiVersion, kind, cluster, head.ID, head.First, head.Last})
	return &Writer{out, encoder}, err
}

// Write adds one entry.
func (w *Writer) Write(e log.Entry) error {
	line := Entry{
		Sequence: e.Sequence, Time: e.Time, Entity: e.Entity, Type: e.Type, Rules: e.Rules, ID: e.ID, Source: e.Source,
	}
	if utf8.Valid(e.Data) {
		line.Data = string(e.Data)
	} else {
		line.DataBase64 = e.Data
	}
	return w.encoder.Encode(line)
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.out.Flush() }

// Recording is a log that was read from a file, from its first fact on.
type Recording struct {
	Head    Head
	Entries []log.Entry
}

// Read reads a whole exported log. name is used in messages only.
func Read(name string, r io.Reader) (*Recording, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	recording := &Recording{}
	for number := 1; lines.Scan(); number++ {
		if err := recording.line(number, lines.Bytes()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case recording.Head.Kind == "":
		return nil, fmt.Errorf("%s: %w: it is empty", name, ErrNoLog)
	case recording.Head.First > 1:
		return nil, fmt.Errorf("%s: %w: it begins at fact %d; the first ones were purged", name, ErrNoLog, recording.Head.First)
	case uint64(len(recording.Entries)) != recording.Head.Last:
		return nil, fmt.Errorf("%s: %w: it has %d facts of %d", name, ErrNoLog, len(recording.Entries), recording.Head.Last)
	}
	return recording, nil
}

// ReadFile is Read of a file.
func ReadFile(path string) (*Recording, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return Read(path, file)
}

// maxLine holds a fact of the largest size, escaped.
const maxLine = 8 * event.MaxDataBytes

func (r *Recording) line(number int, text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if number == 1 {
		if err := decoder.Decode(&r.Head); err != nil || r.Head.APIVersion != apiVersion || r.Head.Kind != kind {
			return fmt.Errorf("%w: the first line must be %q %q, as `viplog export` writes it", ErrNoLog, apiVersion, kind)
		}
		return nil
	}
	var e Entry
	if err := decoder.Decode(&e); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	if want := uint64(number) - 1; e.Sequence != want {
		return fmt.Errorf("%w: fact %d where %d must be", ErrNoLog, e.Sequence, want)
	}
	data := e.DataBase64
	if data == nil {
		data = []byte(e.Data)
	}
	r.Entries = append(r.Entries, log.Entry{
		Fact: log.Fact{
			Record: event.Record{Type: e.Type, Entity: e.Entity, Rules: e.Rules, Data: data},
			ID:     e.ID, Source: e.Source,
		},
		Sequence: e.Sequence, Time: e.Time,
	})
	return nil
}

// Fold gives the ledger of all entries.
func (r *Recording) Fold() *ledger.State {
	s := ledger.New(r.Head.ID)
	for _, e := range r.Entries {
		s.ApplyEntry(e)
	}
	return s
}

// ErrNoLog marks a file that is not a whole exported log.
var ErrNoLog = errors.New("not an exported log")
