package clusterfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Problem is one mistake or one warning, placed at a line of the file.
type Problem struct {
	File string
	Line int
	// Field is the field's path within its document; the line tells the documents apart. It is empty for a problem of
	// the file itself.
	Field string
	// Message is everything after the path: `Invalid value: "x": reason`.
	Message string
}

// String prints the problem as FILE:LINE: field.path: message.
func (p Problem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Field, p.Message)
}

// Error makes a Problem an error by itself.
func (p Problem) Error() string { return p.String() }

// Problems is all that is wrong with a file, sorted by line. It is the error of Parse.
type Problems []Problem

// Error prints one problem per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Problem.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}

// maxProblems bounds the answer to a file that is wrong everywhere.
const maxProblems = 500

// maxShownRunes bounds a value in a message: a value may be a whole file by mistake.
const maxShownRunes = 120

// collector gathers problems and warnings, and gives each its line.
type collector struct {
	file     string
	problems []Problem
	warnings []Problem
}

// fail adds an error at the line of its field, or of the nearest parent that exists.
func (c *collector) fail(doc *document, err *field.Error) {
	c.failAt(doc.lineOf(err.Field), err)
}

func (c *collector) failAt(line int, err *field.Error) {
	c.problems = append(c.problems, Problem{File: c.file, Line: line, Field: err.Field, Message: err.ErrorBody()})
}

// failFile adds an error that belongs to no field.
func (c *collector) failFile(line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.file, Line: line, Message: fmt.Sprintf(format, args...)})
}

func (c *collector) failAll(findings []finding) {
	for _, f := range findings {
		c.fail(f.doc, f.err)
	}
}

func (c *collector) warn(at place, text string) {
	path := at.path.String()
	c.warnings = append(c.warnings, Problem{File: c.file, Line: at.doc.lineOf(path), Field: path, Message: text})
}

// err gives the problems as Parse returns them, or nil.
func (c *collector) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	problems := sortProblems(c.problems)
	if more := len(problems) - maxProblems; more > 0 {
		last := problems[maxProblems-1]
		problems = append(problems[:maxProblems], Problem{
			File: c.file, Line: last.Line,
			Message: fmt.Sprintf("%d more problems are not shown", more),
		})
	}
	return Problems(problems)
}

// sortProblems sorts by line and drops repetitions, which come from one text read twice through an alias.
func sortProblems(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

// place is a field of a document: where a value was read or should have been.
type place struct {
	doc  *document
	path *field.Path
}

func (p place) child(name string) place { return place{p.doc, p.path.Child(name)} }

// finding is an error of a rule, not yet at its line.
type finding struct {
	doc *document
	err *field.Error
}

func (p place) invalid(text, format string, args ...any) finding {
	return finding{p.doc, field.Invalid(p.path, clip(text), fmt.Sprintf(format, args...))}
}

func (p place) required(format string, args ...any) finding {
	return finding{p.doc, field.Required(p.path, fmt.Sprintf(format, args...))}
}

func (p place) forbidden(format string, args ...any) finding {
	return finding{p.doc, field.Forbidden(p.path, fmt.Sprintf(format, args...))}
}

func (p place) duplicate(text string) finding {
	return finding{p.doc, field.Duplicate(p.path, clip(text))}
}

func (p place) unsupported(text string, values ...string) finding {
	return finding{p.doc, field.NotSupported(p.path, clip(text), values)}
}

func clip(text string) string {
	shown := 0
	for i := range text {
		if shown == maxShownRunes {
			return text[:i] + "…"
		}
		shown++
	}
	return text
}
