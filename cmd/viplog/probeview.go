package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"viplog/adapters/probe"
)

// probeView is what a probe has found. Times are in nanoseconds.
type probeView struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	probe.Result
}

// shownOutages is how many outages a table has; json has more.
const shownOutages = 20

func (v probeView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	fmt.Fprintln(w, v.summary())
	wide := output == "wide"
	if err := printTable(w, rowsOf(v.Streams, func(s probe.Stream) probeStreamRow { return probeStreamRow(s) }), wide); err != nil {
		return err
	}
	if err := printSection(w, v.outages(), wide); err != nil {
		return err
	}
	if err := v.printConnections(w, wide); err != nil {
		return err
	}
	if err := printSection(w, rowsOf(v.Holders, func(h probe.Holder) probeHolderRow { return probeHolderRow(h) }), wide); err != nil {
		return err
	}
	if err := printSection(w, rowsOf(v.Changes, func(c probe.Change) probeChangeRow { return probeChangeRow(c) }), wide); err != nil {
		return err
	}
	for _, s := range v.Streams {
		for _, t := range s.Troubles {
			fmt.Fprintf(w, "\n%s: %d times from %s on: %s\n", s.Name, t.Count, clock(t.First), t.What)
		}
	}
	return nil
}

func (v probeView) summary() string {
	cold, ended := "warm", ""
	if v.Cold {
		cold = "cold"
	}
	if v.Interrupted {
		ended = ", interrupted"
	}
	text := fmt.Sprintf("%s, port %d: %s, a request each %s from %s to %s%s", v.Address, v.Port, cold, v.Spacing, v.Began.Format(time.RFC3339), clock(v.Ended), ended)
	if v.Skipped > 0 {
		text += fmt.Sprintf("; this host skipped %d, the longest time without any was %s", v.Skipped, shortly(v.Stall))
	}
	return text + "\n"
}

// printSection prints a table after an empty line, if it has rows.
func printSection[R row](w io.Writer, rows []R, wide bool) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return printTable(w, rows, wide)
}

func rowsOf[T, R any](all []T, as func(T) R) (rows []R) {
	for _, one := range all {
		rows = append(rows, as(one))
	}
	return rows
}

func (v probeView) outages() (rows []probeOutageRow) {
	for _, s := range v.Streams {
		for i, o := range s.Outages {
			if i == shownOutages {
				rows = append(rows, probeOutageRow{Stream: s.Name, more: s.OutageCount - i})
				break
			}
			rows = append(rows, probeOutageRow{Stream: s.Name, Outage: o})
		}
	}
	return rows
}

func (v probeView) printConnections(w io.Writer, wide bool) error {
	c := v.Connections
	if c.Opened+c.Failed == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nconnections: %d opened, %d reset, %d timed out, %d closed, %d failed\n", c.Opened, c.Reset, c.TimedOut, c.Closed, c.Failed)
	return printSection(w, rowsOf(c.Endings, func(e probe.Ending) probeEndingRow { return probeEndingRow(e) }), wide)
}

// clock is an instant of a day, to the millisecond.
func clock(t time.Time) string { return t.Format("15:04:05.000") }

// shortly is a time to the tenth of a millisecond.
func shortly(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

type probeStreamRow probe.Stream

// TableHeader names the columns of a table of streams.
func (probeStreamRow) TableHeader(wide bool) []string {
	h := []string{"REQUESTS", "SENT", "IN TIME", "LATE", "LOST", "OUTAGES", "LONGEST GAP", "LONGEST SILENCE", "MEDIAN", "LONGEST"}
	if wide {
		h = append(h, "SHORTEST", "99 %", "UNSENT", "ANSWERED AGAIN", "SILENT FROM")
	}
	return h
}

// TableRow is one row under TableHeader.
func (s probeStreamRow) TableRow(wide bool) []string {
	n := strconv.Itoa
	r := []string{
		s.Name, n(s.Sent), n(s.InTime), n(s.Late), n(s.Lost), n(s.OutageCount), shortly(s.LongestGap), shortly(s.LongestSilence),
		shortly(s.MedianLatency), shortly(s.MaxLatency),
	}
	if wide {
		r = append(r, shortly(s.MinLatency), shortly(s.P99Latency), n(s.Unsent), n(s.Duplicates), clock(s.SilenceBegan))
	}
	return r
}

type probeOutageRow struct {
	probe.Outage
	Stream string
	more   int // outages that have no row
}

// TableHeader names the columns of a table of outages.
func (probeOutageRow) TableHeader(bool) []string {
	return []string{"OUTAGE", "BEGIN", "END", "GAP", "SILENCE", "LOST", "LATE"}
}

// TableRow is one row under TableHeader.
func (o probeOutageRow) TableRow(bool) []string {
	if o.more > 0 {
		return []string{o.Stream, fmt.Sprintf("and %d more", o.more), "", "", "", "", ""}
	}
	end := clock(o.End)
	if o.Open {
		end += " (open)"
	}
	return []string{o.Stream, clock(o.Begin), end, shortly(o.Gap), shortly(o.Silence), strconv.Itoa(o.Lost), strconv.Itoa(o.Late)}
}

type probeEndingRow probe.Ending

// TableHeader names the columns of a table of ended connections.
func (probeEndingRow) TableHeader(bool) []string {
	return []string{"CONNECTION", "OPENED", "ENDED", "AFTER THE LAST ANSWER", "WHY"}
}

// TableRow is one row under TableHeader.
func (e probeEndingRow) TableRow(bool) []string {
	return []string{strings.ReplaceAll(e.How, "timedOut", "timed out"), clock(e.Opened), clock(e.At), shortly(e.After), e.Error}
}

type probeHolderRow probe.Holder

// TableHeader names the columns of a table of holders.
func (probeHolderRow) TableHeader(bool) []string {
	return []string{"MAC", "FIRST ANSWER", "LAST ANSWER", "ANSWERS", "ANNOUNCEMENTS"}
}

// TableRow is one row under TableHeader.
func (h probeHolderRow) TableRow(bool) []string {
	return []string{h.MAC, clock(h.First), clock(h.Last), strconv.Itoa(h.Answers), strconv.Itoa(h.Announcements)}
}

type probeChangeRow probe.Change

// TableHeader names the columns of a table of changes.
func (probeChangeRow) TableHeader(bool) []string {
	return []string{"FROM", "TO", "AT", "NOBODY ANSWERED", "BOTH ANSWERED"}
}

// TableRow is one row under TableHeader.
func (c probeChangeRow) TableRow(bool) []string {
	return []string{c.From, c.To, clock(c.At), shortly(c.Gap), shortly(c.Overlap)}
}
