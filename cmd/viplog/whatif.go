package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim/scenario"
)

// whatif is what `viplog whatif` is asked for.
type whatif struct {
	question
	std      streams
	eachNode bool
	verbose  bool
	seed     uint64
}

func newWhatif(std streams) *cobra.Command {
	w := &whatif{std: std, question: question{reader: reader{err: std.err}}}
	cmd := &cobra.Command{
		Use:   "whatif VERBS | --each-node",
		Short: "Say what would follow from failures and an operator's verbs: who takes over what, what goes dark and for how long",
		Long: "Goes on in a simulation where the log of the running cluster, or an exported one, ends (as `viplog sim replay` does), and says what\n" +
			"comes of it: which addresses get another owner, which nobody answers for, for how long clients of each got no answer, and what\n" +
			"each node owns then. VERBS are those of scenarios (docs/scenarios.md), with semicolons between them. Nothing is changed.\n\n" +
			"--each-node foretells, by the ledger's rules alone, the failure of every load-balancer node that runs, and of every two at one\n" +
			"time, once for each order of their deaths where that matters. The cluster is taken to be at rest, with every voter there.\n\n" +
			"Exit codes: those of `viplog sim run`: 0 where all comes to rest, 10 where it does not.",
		Example: "  viplog whatif 'fail lb-1'\n  viplog whatif 'drain lb-2; after 5s fail lb-1' --log cluster.jsonl -v\n" +
			"  viplog whatif --each-node\n  viplog whatif --each-node -o json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFrom(&w.reader, whatifVerbs),
		RunE: func(cmd *cobra.Command, args []string) error {
			verbs := strings.Join(args, "")
			switch {
			case w.eachNode == (strings.Trim(verbs, " ;") != ""):
				return exitError{2, errors.New("whatif takes verbs, like 'fail lb-1; drain lb-2', or --each-node")}
			case w.eachNode:
				return w.foretell(cmd.Context())
			}
			return w.simulate(cmd.Context(), verbs)
		},
	}
	w.add(cmd)
	cmd.Flags().BoolVar(&w.eachNode, "each-node", false, "foretell every single and double failure of nodes, instead of verbs")
	cmd.Flags().BoolVarP(&w.verbose, "verbose", "v", false, "print the timeline of the simulation too")
	cmd.Flags().Uint64Var(&w.seed, "seed", 1, "what the simulation leaves to chance")
	return cmd
}

// whatifVerbs completes what is asked for most.
func whatifVerbs(s *ledger.State) (all []string) {
	for _, verb := range []string{"fail", "drain", "leave"} {
		for _, name := range nodesThatAnnounce(s) {
			all = append(all, verb+" "+name)
		}
	}
	return all
}

// simulate lets verbs happen in a simulation that goes on from the log.
func (w *whatif) simulate(ctx context.Context, verbs string) error {
	var entries []log.Entry
	before, err := w.ask(ctx, func(e log.Entry, _ *ledger.State, _ []ledger.Change) { entries = append(entries, e) })
	if err != nil {
		return err
	}
	script := replayScript("log", 0, w.seed, verbs)
	s, err := scenario.Parse("whatif", []byte(script), func(string) (string, []log.Entry, error) { return before.LogID(), entries, nil })
	if err != nil {
		return failed(atVerbs(err, script))
	}
	bar := newProgress(w.std.err, "", 0)
	result := s.Once(ctx, simChooser)
	bar.end()
	if result.Ledger == nil {
		return failed(errors.New(result.Why))
	}
	view := whatifOf(before, result)
	view.Verbs = strings.Split(strings.Trim(verbs, " ;"), ";")
	for i := range view.Verbs {
		view.Verbs[i] = strings.TrimSpace(view.Verbs[i])
	}
	if w.verbose {
		view.Timeline = append(view.Timeline, result.Timeline...)
	}
	if err := view.print(w.std.out, w.output); err != nil {
		return failed(err)
	}
	for _, c := range simCodes {
		if c.verdict == result.Verdict {
			return exitError{c.code, errSilent}
		}
	}
	return nil
}

// atVerbs names in an error the verbs instead of their lines of the script.
func atVerbs(err error, script string) error {
	text := err.Error()
	for i, line := range strings.Split(script, "\n") {
		text = strings.ReplaceAll(text, fmt.Sprintf("whatif:%d: ", i+1), line+": ")
	}
	return errors.New(text)
}

// whatifOf compares a ledger with what has become of it.
func whatifOf(before *ledger.State, r scenario.Result) whatifView {
	v := newWhatifView()
	v.Sequence, v.Verdict, v.Why = before.Sequence(), r.Verdict, r.Why
	darkest := map[string]time.Duration{}
	for _, s := range r.Seen {
		darkest[s.Address] = max(darkest[s.Address], s.Darkest)
	}
	for _, a := range addressesOf(before, r.Ledger) {
		row := whatifAddress(before, r, a)
		row.BlackHole = darkest[row.Address]
		if row.From == row.To && row.BlackHole < worthARow {
			continue
		}
		v.Addresses = append(v.Addresses, row)
		switch {
		case row.Dark:
			v.Dark++
		case row.From != row.To && row.From != "" && row.To != "":
			v.Moves++
		}
		if !row.Dark {
			v.BlackHole = max(v.BlackHole, row.BlackHole)
		}
	}
	v.Nodes = loadsOf(before, r.Ledger)
	return v
}

// worthARow is the black hole from which on an address has a row although its owner is the same.
const worthARow = 100 * time.Millisecond

// addressesOf are those in use in either ledger, in their order.
func addressesOf(ledgers ...*ledger.State) (all []netip.Addr) {
	for _, s := range ledgers {
		s.EachList(func(a netip.Addr, _ []ledger.Incarnation) { all = append(all, a) })
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// whatifAddress says what has become of an address.
func whatifAddress(before *ledger.State, r scenario.Result, a netip.Addr) whatifAddressView {
	row := whatifAddressView{Address: a.String(), Services: before.UsersOf(a), From: ownerNamed(before, a), To: ownerNamed(r.Ledger, a)}
	now := r.Ledger.UsersOf(a)
	if len(row.Services) == 0 {
		row.Services = now
	}
	answers := slices.ContainsFunc(r.Served, func(s scenario.Served) bool { return slices.Contains(s.Addresses, a) })
	switch {
	case len(now) == 0:
		row.To, row.Reason = "", "no Service uses it any more"
	case answers:
	case row.To == "":
		row.Dark, row.Reason = row.From != "", r.Ledger.WhyUnowned(a)
	default:
		row.Dark, row.Reason = true, "by the log it belongs to "+row.To+", which does not answer"
		row.To = ""
	}
	return row
}

// ownerNamed is the name of an address's owner by the log; "" for none.
func ownerNamed(s *ledger.State, a netip.Addr) string {
	list, _ := s.List(a)
	if len(list) == 0 {
		return ""
	}
	n, _ := s.NodeNamed(list[0].Node.String())
	return n.Name
}

// loadsOf says what nodes that announce own, of those that own something or run.
func loadsOf(before, after *ledger.State) []whatifNodeView {
	loads := []whatifNodeView{}
	was := before.NodeViews(nil)
	for _, now := range after.NodeViews(nil) {
		n, _ := after.NodeNamed(now.Address)
		row := whatifNodeView{Name: now.Name, State: now.State, After: len(now.Addresses)}
		ran := false
		for _, v := range was {
			if v.Address == now.Address {
				row.Before, ran = len(v.Addresses), v.State == "joined" || v.State == "drained"
			}
		}
		if n.Announces && (ran || n.Joined || row.Before+row.After > 0) {
			loads = append(loads, row)
		}
	}
	return loads
}
