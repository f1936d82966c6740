package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/core/ledger"
	"viplog/core/log"
)

func newHistory(std streams) *cobra.Command {
	q := question{reader: reader{err: std.err}}
	cmd := &cobra.Command{
		Use:   "history [service NS/NAME | address IP | node NAME | pool NAME]",
		Short: "List the facts and what followed from each",
		Example: "  viplog history\n  viplog history address 10.200.0.76\n" +
			"  viplog history node lb-1 --at 2026-11-24T12:00:00Z",
		ValidArgsFunction: completeSubjects(&q.reader),
		Args:              cobra.MatchAll(cobra.MaximumNArgs(2), evenArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := q.history(cmd.Context(), args)
			if err != nil {
				return asFailure(err)
			}
			return printHistory(std.out, q.output, lines)
		},
	}
	q.add(cmd)
	return cmd
}

func evenArgs(_ *cobra.Command, args []string) error {
	if len(args)%2 != 0 {
		return fmt.Errorf("%q needs a name after it", args[0])
	}
	return nil
}

// historyView is one fact and what followed.
type historyView struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Type     string    `json:"type"`
	Entity   string    `json:"entity"`
	Source   string    `json:"source"`
	Changes  []string  `json:"changes"`
}

// history folds the log and keeps the facts that concern a subject; all for none.
func (q *question) history(ctx context.Context, subject []string) ([]historyView, error) {
	lines := []historyView{}
	concerns, err := concernsOf(subject)
	if err != nil {
		return nil, err
	}
	_, err = q.ask(ctx, func(e log.Entry, s *ledger.State, changes []ledger.Change) {
		view := historyView{
			Sequence: e.Sequence, Time: e.Time, Type: shortType(e.Type), Entity: e.Entity, Source: e.Source, Changes: []string{},
		}
		about := false
		for _, change := range changes {
			if concerns == nil || concerns(s, change) {
				about = true
				view.Changes = append(view.Changes, s.Describe(change))
			}
		}
		if about || concerns == nil {
			lines = append(lines, view)
		}
	})
	return lines, err
}

func shortType(name string) string {
	name = strings.TrimPrefix(name, "viplog.")
	return strings.TrimSuffix(name, ".v1")
}

// concernsOf makes the filter for a subject: which changes are about it.
func concernsOf(subject []string) (func(*ledger.State, ledger.Change) bool, error) {
	if len(subject) == 0 {
		return nil, nil
	}
	name := subject[1]
	switch subject[0] {
	case "service":
		key, err := parseServiceKey(name)
		return func(_ *ledger.State, c ledger.Change) bool { return c.Service == key }, err
	case "address":
		a, err := netip.ParseAddr(name)
		if err != nil {
			return nil, fmt.Errorf("address %q: an IP address is required", name)
		}
		return func(_ *ledger.State, c ledger.Change) bool { return c.Address == a }, nil
	case "node":
		return func(s *ledger.State, c ledger.Change) bool {
			n, ok := s.NodeNamed(name)
			return ok && (c.Node == n.Address || c.From == n.Address)
		}, nil
	case "pool":
		return func(_ *ledger.State, c ledger.Change) bool {
			return c.Pool == name || c.Kind == ledger.Configured && strings.Contains(c.Reason, "pool "+name+" ")
		}, nil
	}
	return nil, exitError{2, fmt.Errorf("%q has no history; use one of %s", subject[0], strings.Join(subjectKinds, ", "))}
}

// TableHeader names the columns of a table of facts.
func (historyView) TableHeader(wide bool) []string {
	if wide {
		return []string{"FACT", "TIME", "TYPE", "ENTITY", "SOURCE", "WHAT FOLLOWED"}
	}
	return []string{"FACT", "TIME", "TYPE", "WHAT FOLLOWED"}
}

// TableRow is one row under TableHeader.
func (v historyView) TableRow(wide bool) []string { return v.row(wide, strings.Join(v.Changes, "; ")) }

func (v historyView) row(wide bool, what string) []string {
	row := []string{fmt.Sprint(v.Sequence), v.Time.Format("2006-01-02 15:04:05.000"), v.Type}
	if wide {
		row = append(row, v.Entity, v.Source)
	}
	return append(row, what)
}

// changeRow is a fact's further change on a line of its own.
type changeRow struct {
	historyView
	first bool
	what  string
}

// TableRow is one row under TableHeader.
func (r changeRow) TableRow(wide bool) []string {
	row := r.row(wide, r.what)
	if !r.first {
		for i := range len(row) - 1 {
			row[i] = " "
		}
	}
	return row
}

func printHistory(w io.Writer, output string, lines []historyView) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, listView[historyView]{APIVersion: apiVersion, Kind: "HistoryList", Items: lines})
	}
	var rows []changeRow
	for _, line := range lines {
		whats := line.Changes
		if len(whats) == 0 {
			whats = []string{"nothing"}
		}
		for i, what := range whats {
			rows = append(rows, changeRow{line, i == 0, what})
		}
	}
	return printTable(w, rows, output == "wide")
}

func newWho(std streams) *cobra.Command {
	q := question{reader: reader{err: std.err}}
	cmd := &cobra.Command{
		Use:     "who IP",
		Short:   "Say who owned an address, and whose it was, now or at a time",
		Example: "  viplog who 10.200.0.76\n  viplog who 10.200.0.76 --at 2026-11-24T12:00:00Z",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: completeFrom(&q.reader, addressesInUse),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := netip.ParseAddr(args[0])
			if err != nil {
				return exitError{2, fmt.Errorf("%q: an IP address is required", args[0])}
			}
			s, err := q.ask(cmd.Context(), nil)
			if err != nil {
				return err
			}
			return printOwner(std.out, q.output, s, address)
		},
	}
	q.add(cmd)
	return cmd
}

func printOwner(w io.Writer, output string, s *ledger.State, address netip.Addr) error {
	views := s.AddressViews()
	i := slices.IndexFunc(views, func(v ledger.AddressView) bool { return v.Address == address.String() })
	if i < 0 {
		return failed(fmt.Errorf("%s was in no use at fact %d", address, s.Sequence()))
	}
	if output != "table" {
		return printList(w, output, "AddressList", views[i:i+1])
	}
	v := views[i]
	_, err := fmt.Fprintf(w, "%s: owner %s, then %s, since fact %d; used by %s\n", address, cmp.Or(v.Owner, "nobody"),
		cmp.Or(strings.Join(v.Standbys, ", "), "nobody"), v.Version, strings.Join(v.Services, ", "))
	return err
}
