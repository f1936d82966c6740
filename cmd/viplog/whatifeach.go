package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"viplog/core/forecast"
	"viplog/core/ledger"
)

// forecastView is what would follow from each failure. Times are in nanoseconds.
type forecastView struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Sequence   uint64        `json:"sequence"` // of the last fact of the ledger that it was made for
	Profile    string        `json:"profile"`  // of the lease's timing
	Unowned    int           `json:"unowned"`  // addresses that nobody owns as it is
	Nodes      []string      `json:"nodes"`    // that announce and run
	Failures   []failureView `json:"failures"`
}

// failureView is what would follow from one failure. A failure of two nodes whose order matters is there twice.
type failureView struct {
	Fails          []string      `json:"fails"` // at one time; the log takes their deaths in this order
	OrderMatters   bool          `json:"orderMatters"`
	Proven         bool          `json:"proven"` // else nobody takes anything over
	Voters         int           `json:"voters"` // that are left
	OfVoters       int           `json:"ofVoters"`
	Moves          []moveView    `json:"moves"`
	Dark           []darkView    `json:"dark"`
	Takes          []takeView    `json:"takes"`          // how many addresses each node takes over, the most first
	Heaviest       string        `json:"heaviest"`       // the node that owns most afterwards
	Owns           int           `json:"owns"`           // how many that are
	BlackHoleLeast time.Duration `json:"blackHoleLeast"` // of the addresses that move; 0 where none does
	BlackHoleMost  time.Duration `json:"blackHoleMost"`
}

// moveView is an address that gets another owner.
type moveView struct {
	Address string `json:"address"`
	From    string `json:"from"` // "" for one that a waiting Service gets only then
	To      string `json:"to"`
}

// darkView is an address that nobody answers for.
type darkView struct {
	Address  string   `json:"address"`
	Services []string `json:"services"`
	Reason   string   `json:"reason"` // "" where one of two failures alone has the same effect
}

// takeView is how many addresses a node takes over.
type takeView struct {
	Node      string `json:"node"`
	Addresses int    `json:"addresses"`
}

// foretell says what follows from each failure of one node or two.
func (w *whatif) foretell(ctx context.Context) error {
	s, err := w.ask(ctx, nil)
	if err != nil {
		return err
	}
	f, err := forecast.Of(s)
	if err != nil {
		return failed(err)
	}
	if len(f.Nodes()) == 0 {
		return failed(errors.New("no load-balancer node runs: there is nothing that could fail"))
	}
	view := forecastView{
		APIVersion: apiVersion, Kind: "Forecast", Sequence: s.Sequence(), Profile: s.Settings().Profile,
		Nodes: []string{}, Failures: []failureView{},
	}
	for _, n := range f.Nodes() {
		view.Nodes = append(view.Nodes, n.Name)
	}
	s.EachList(func(_ netip.Addr, list []ledger.Incarnation) {
		if len(list) == 0 {
			view.Unowned++
		}
	})
	names := namesOfNodes(s)
	bar := newProgress(w.std.err, "failure", uint64(f.Failures()))
	defer bar.end()
	for o := range f.Each() {
		if ctx.Err() != nil {
			return failed(ctx.Err())
		}
		view.Failures = append(view.Failures, failureOf(s, f, o, names))
		bar.step(uint64(len(view.Failures)))
	}
	bar.end()
	return view.print(w.std.out, w.output)
}

func namesOfNodes(s *ledger.State) map[netip.Addr]string {
	names := map[netip.Addr]string{}
	for _, n := range s.Nodes() {
		names[n.Address] = n.Name
	}
	return names
}

// failureOf is an outcome as it is shown.
func failureOf(s *ledger.State, f *forecast.Forecast, o forecast.Outcome, names map[netip.Addr]string) failureView {
	v := failureView{
		Fails: []string{}, OrderMatters: o.OrderMatters, Proven: o.Proven, Voters: o.Voters.Left, OfVoters: o.Voters.Of,
		Moves: make([]moveView, 0, len(o.Moves)), Dark: make([]darkView, 0, len(o.Dark)), Takes: []takeView{},
	}
	for _, n := range o.Dead {
		v.Fails = append(v.Fails, n.Name)
	}
	takes := map[string]int{}
	for _, m := range o.Moves {
		v.Moves = append(v.Moves, moveView{m.Address.String(), names[m.From], names[m.To]})
		takes[names[m.To]]++
	}
	for node, n := range takes {
		v.Takes = append(v.Takes, takeView{node, n})
	}
	slices.SortFunc(v.Takes, func(a, b takeView) int {
		return cmp.Or(cmp.Compare(b.Addresses, a.Addresses), ledger.CompareNames(a.Node, b.Node))
	})
	for _, d := range o.Dark {
		v.Dark = append(v.Dark, darkView{d.Address.String(), s.UsersOf(d.Address), d.Reason})
	}
	if most, left := o.Heaviest(); left {
		v.Heaviest, v.Owns = most.Node.Name, most.After
	}
	if len(o.Moves) > 0 {
		v.BlackHoleLeast, v.BlackHoleMost = f.BlackHole()
	}
	return v
}

func (v forecastView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	if err := printTable(w, v.Failures, output == "wide"); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, line := range v.warnings() {
		fmt.Fprintln(w, "warning:", line)
	}
	_, err := fmt.Fprintln(w, v.summary())
	return err
}

// warnings are what an operator must know: who leaves an address dark, and who takes the majority of voters away.
func (v forecastView) warnings() (all []string) {
	for _, f := range v.Failures {
		switch {
		case len(f.Fails) > 1:
		case !f.Proven:
			all = append(all, fmt.Sprintf("without %s %s: none of its %s is taken over", f.Fails[0], f.note(), countedAddresses(len(f.Dark))))
		case len(f.Dark) > 0:
			d := f.Dark[0]
			all = append(all, fmt.Sprintf("without %s nobody answers for %s (%s): %s%s", f.Fails[0], d.Address, strings.Join(d.Services, ","), d.Reason, andMore(len(f.Dark)-1)))
		}
	}
	dark := v.failures(func(f failureView) bool {
		return len(f.Fails) > 1 && f.Proven && slices.ContainsFunc(f.Dark, func(d darkView) bool { return d.Reason != "" })
	})
	if len(dark) > 0 {
		all = append(all, "together, but none of them alone, leave addresses dark: "+some(dark))
	}
	if unproven := v.failures(func(f failureView) bool { return len(f.Fails) > 1 && !f.Proven }); len(unproven) > 0 {
		all = append(all, "together leave no majority of voters, or no node, so that nothing is taken over: "+some(unproven))
	}
	if v.Unowned > 0 {
		all = append(all, countedAddresses(v.Unowned)+" in use without an owner as it is (viplog get addresses)")
	}
	return all
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; and for %d more", n)
}

func countedAddresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// failures are those of which one order or both are so.
func (v forecastView) failures(so func(failureView) bool) (all []string) {
	seen := map[string]bool{}
	for _, f := range v.Failures {
		if !so(f) {
			continue
		}
		name := strings.Join(slices.SortedFunc(slices.Values(f.Fails), ledger.CompareNames), " and ")
		if !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	return all
}

// some are the first of many.
func some(all []string) string {
	const shown = 8
	if len(all) <= shown {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:shown], ", "), len(all)-shown)
}

func (v forecastView) summary() string {
	n := len(v.Nodes)
	dark := v.failures(func(f failureView) bool { return len(f.Dark) > 0 })
	unproven := v.failures(func(f failureView) bool { return !f.Proven })
	return fmt.Sprintf("%s run; of %s of one or two %d leave an address dark, %d leave nobody to take over (profile %s)",
		counted(n, "node"), counted(n*(n+1)/2, "failure"), len(dark), len(unproven), v.Profile)
}

// note says what is special about a failure.
func (v failureView) note() string {
	switch {
	case 2*v.Voters <= v.OfVoters && !v.Proven:
		return fmt.Sprintf("%d of %d voters are left, no majority", v.Voters, v.OfVoters)
	case !v.Proven:
		return "no node runs any more"
	case v.OrderMatters:
		return "in this order"
	}
	return ""
}

// TableHeader names the columns of a table of failures.
func (failureView) TableHeader(wide bool) []string {
	header := []string{"FAILS", "MOVE", "TO", "DARK", "HEAVIEST", "BLACK HOLE", "NOTE"}
	if wide {
		header = append(header, "DARK ADDRESSES")
	}
	return header
}

// TableRow is one row under TableHeader.
func (v failureView) TableRow(wide bool) []string {
	join := ","
	if v.OrderMatters {
		join = " then "
	}
	var takes, dark []string
	for _, t := range v.Takes {
		takes = append(takes, fmt.Sprintf("%s:%d", t.Node, t.Addresses))
	}
	if shown := 3; !wide && len(takes) > shown {
		takes = append(takes[:shown], fmt.Sprintf("%d more", len(takes)-shown))
	}
	for _, d := range v.Dark {
		dark = append(dark, d.Address)
	}
	heaviest, hole := "", ""
	if v.Heaviest != "" {
		heaviest = fmt.Sprintf("%s:%d", v.Heaviest, v.Owns)
	}
	if len(v.Moves) > 0 {
		hole = fmt.Sprintf("%d to %s", v.BlackHoleLeast.Milliseconds(), milliseconds(v.BlackHoleMost))
	}
	row := []string{strings.Join(v.Fails, join), strconv.Itoa(len(v.Moves)), strings.Join(takes, ","), strconv.Itoa(len(v.Dark)), heaviest, hole, v.note()}
	if wide {
		row = append(row, strings.Join(dark, ","))
	}
	return row
}
