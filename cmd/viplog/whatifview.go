package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"viplog/core/trace"
	"viplog/sim"
	"viplog/sim/scenario"
)

// whatifView is what has come of verbs in a simulation. Times are in nanoseconds.
type whatifView struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Sequence   uint64              `json:"sequence"` // of the last fact of the log that it goes on from
	Verbs      []string            `json:"verbs"`
	Addresses  []whatifAddressView `json:"addresses"` // that have another owner, or that clients got no answer from
	Nodes      []whatifNodeView    `json:"nodes"`
	Moves      int                 `json:"moves"`     // addresses that have another owner
	Dark       int                 `json:"dark"`      // addresses that nobody answers for at the end
	BlackHole  time.Duration       `json:"blackHole"` // the longest of an address that is not dark
	Verdict    sim.Verdict         `json:"verdict"`
	Why        string              `json:"why"`
	Timeline   []trace.Record      `json:"timeline"` // with -v
}

// whatifAddressView is what has become of an address.
type whatifAddressView struct {
	Address   string        `json:"address"`
	Services  []string      `json:"services"`
	From      string        `json:"from"` // its owner before
	To        string        `json:"to"`   // its owner at the end; "" for none, or one that does not answer
	Dark      bool          `json:"dark"`
	Reason    string        `json:"reason"`
	BlackHole time.Duration `json:"blackHole"` // the longest time between two requests that were answered, or to the end
}

// whatifNodeView is how many addresses a node owns by the log.
type whatifNodeView struct {
	Name   string `json:"name"`
	State  string `json:"state"` // at the end
	Before int    `json:"before"`
	After  int    `json:"after"`
}

func newWhatifView() whatifView {
	return whatifView{
		APIVersion: apiVersion, Kind: "WhatIf", Verbs: []string{}, Addresses: []whatifAddressView{}, Nodes: []whatifNodeView{},
		Timeline: []trace.Record{},
	}
}

func (v whatifView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	if len(v.Timeline) > 0 {
		fmt.Fprintln(w, scenario.TimelineText(v.Timeline))
	}
	if len(v.Addresses) > 0 {
		if err := printTable(w, v.Addresses, output == "wide"); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if err := printTable(w, v.Nodes, output == "wide"); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s moved, %d dark, longest black hole %s: %s\n", countedAddresses(v.Moves), v.Dark, milliseconds(v.BlackHole), v.ending())
	return err
}

func (v whatifView) ending() string {
	if v.Why == "" {
		return string(v.Verdict)
	}
	return string(v.Verdict) + ": " + strings.ReplaceAll(v.Why, "\n", " ")
}

// milliseconds writes a time as clients feel it.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// TableHeader names the columns of a table of addresses.
func (whatifAddressView) TableHeader(bool) []string {
	return []string{"ADDRESS", "SERVICES", "FROM", "TO", "BLACK HOLE", "REASON"}
}

// TableRow is one row under TableHeader.
func (v whatifAddressView) TableRow(bool) []string {
	to, hole := v.To, milliseconds(v.BlackHole)
	switch {
	case v.Dark:
		to, hole = "dark", "to the end"
	case v.From == "" || v.To == "":
		hole = ""
	}
	return []string{v.Address, strings.Join(v.Services, ","), v.From, to, hole, v.Reason}
}

// TableHeader names the columns of a table of loads.
func (whatifNodeView) TableHeader(bool) []string { return []string{"NODE", "STATE", "BEFORE", "AFTER"} }

// TableRow is one row under TableHeader.
func (v whatifNodeView) TableRow(bool) []string {
	return []string{v.Name, v.State, strconv.Itoa(v.Before), strconv.Itoa(v.After)}
}
