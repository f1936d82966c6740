// Package manifest reads Services and EndpointSlices from files, as an API server would take them: all of them are
// valid, or none is handed over.
package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"viplog/core/control"
)

// Limits of one Read.
const (
	MaxFileBytes = 4 << 20
	MaxDocuments = 100_000 // empty ones and the items of a List count too
)

// Manifests is what files say, in the order of the files and of the documents in them.
type Manifests struct {
	Services  []control.Service // of type LoadBalancer only
	Endpoints []control.Endpoints
	Ignored   []Ignored
}

// Ignored counts objects that were read and left out, by kind, in the order of first sight.
type Ignored struct {
	Kind  string // "apps/v1 Deployment", "v1 Service of type ClusterIP"
	Count int
}

// Observed is the complete list that a source of this name shows.
func (m Manifests) Observed(source string) control.Observed {
	return control.Observed{Source: source, Services: m.Services, Endpoints: m.Endpoints}
}

// Read reads files, folders and, for the path "-", standard input. Of a folder it takes each *.yaml, *.yml and *.json
// file in it and in its sub-folders, ordered by the bytes of the path below the folder; hidden files and folders
// (".x") are left out, symbolic links are followed. What is named twice is read once.
//
// The error holds every mistake of every file at once (see Problems); the Manifests are then empty.
func Read(paths []string, stdin io.Reader) (Manifests, error) {
	r := newReader()
	for _, path := range paths {
		r.path(path, stdin)
	}
	return r.result()
}

// Problem is one mistake at one place.
type Problem struct {
	File    string
	Line    int // from 1; 0 where the mistake is the file itself
	Message string
}

// Error is FILE:LINE: message, the form that editors jump by.
func (p Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Problems is the error of Read: every mistake, sorted by file, line and message.
type Problems []Problem

// Error has one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(err, ErrInvalid) true.
func (p Problems) Is(target error) bool { return target == ErrInvalid }

func (p Problem) compare(q Problem) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Message, q.Message))
}

func (r *reader) result() (Manifests, error) {
	if len(r.problems) == 0 {
		return r.manifests, nil
	}
	slices.SortFunc(r.problems, Problem.compare)
	return Manifests{}, slices.Compact(r.problems)
}

// ErrInvalid marks manifests that cannot be used as they are.
var ErrInvalid = errors.New("manifest: invalid manifests")
