package campaign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"viplog/sim/kernel"
)

// generator writes the scenario of a seed.
type generator struct {
	kernel.Chooser
	nodes, voters []string
	now           time.Duration
	lines         []timed
	services      int // that have come so far
}

// timed is a line of the script that has a time.
type timed struct {
	at   time.Duration
	verb string
}

const (
	// troubleFrom is when trouble begins at the earliest: everything has come to rest.
	troubleFrom = 10 * time.Second
	// longestSpell is how long a trouble that ends by itself may last.
	longestSpell = 20 * time.Second
	// patience is how long a repaired world may take to come to rest: a node that has died often waits a minute to join.
	patience = 150 * time.Second
)

// Script makes the scenario of a seed: trouble of some kinds for a while, then all is repaired and must come to rest. Which kinds
// a run leaves out matters as much as which it has (swarm testing: Groce et al., ISSTA 2012).
func Script(seed uint64, o Options) string {
	g := &generator{Chooser: kernel.NewSeeded(seed), now: troubleFrom}
	pick := func(given, least, most int) int {
		drawn := least + g.Pick("size", most-least+1)
		return cmp.Or(given, drawn)
	}
	nodes := pick(o.Nodes, 2, 5)
	voters := cmp.Or(o.Voters, []int{1, 3, 3, 3}[g.Pick("size", 4)])
	services := pick(o.Services, 1, 6)
	profile := cmp.Or(o.Profile, []string{"default", "default", "default", "fast"}[g.Pick("size", 4)])
	isolation := cmp.Or(o.Isolation, []string{"hold", "hold", "hold", "hold", "yield"}[g.Pick("size", 5)])
	for i := range nodes {
		g.nodes = append(g.nodes, fmt.Sprintf("lb-%d", i+1))
	}
	for i := range voters {
		g.voters = append(g.voters, fmt.Sprintf("cp-%d", i+1))
	}
	g.trouble(cmp.Or(o.Trouble, time.Minute))

	var text strings.Builder
	fmt.Fprintf(&text, "# Random trouble of seed %d.\n\n", seed)
	fmt.Fprintf(&text, "cluster nodes=%d voters=%d clients=1 profile=%s isolation=%s seed=%d\n", nodes, voters, profile, isolation, seed)
	for i := range services {
		fmt.Fprintf(&text, "service default/web-%d\n", i+1)
	}
	text.WriteString("run 8s\npoll 192.0.2.0 every=50ms\n\n")
	slices.SortStableFunc(g.lines, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	for _, l := range g.lines {
		fmt.Fprintf(&text, "at %v %s\n", l.at, l.verb)
	}
	fmt.Fprintf(&text, "at %v repair\nconverge within=%v\nassert leased-overlap == 0\n", g.now+longestSpell+time.Second, patience)
	return text.String()
}

// trouble writes lines of trouble.
func (g *generator) trouble(long time.Duration) {
	var kinds []kind
	for _, k := range kindsOfTrouble {
		if g.Pick("kinds", 2) == 1 {
			kinds = append(kinds, k)
		}
	}
	pace := []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}[g.Pick("pace", 3)]
	for end := g.now + long; len(kinds) > 0; {
		g.now += g.between(0, 2*pace)
		if g.now > end {
			return
		}
		kinds[g.Pick("kinds", len(kinds))].write(g)
	}
}

// do writes a verb for now.
func (g *generator) do(format string, values ...any) {
	g.lines = append(g.lines, timed{g.now, fmt.Sprintf(format, values...)})
}

// later writes a verb for when a trouble ends.
func (g *generator) later(format string, values ...any) {
	g.lines = append(g.lines, timed{g.now + g.spell(), fmt.Sprintf(format, values...)})
}

// between draws a time in whole milliseconds, as scripts are read.
func (g *generator) between(from, to time.Duration) time.Duration {
	return kernel.Between(g, "times", from, to).Truncate(time.Millisecond)
}

// spell is how long a trouble lasts: short ones are as likely as long ones.
func (g *generator) spell() time.Duration {
	longest := []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, longestSpell}[g.Pick("times", 4)]
	return g.between(time.Millisecond, longest)
}

func (g *generator) of(all []string) string { return all[g.Pick("hosts", len(all))] }
func (g *generator) node() string           { return g.of(g.nodes) }
func (g *generator) voter() string          { return g.of(g.voters) }
func (g *generator) host() string           { return g.of(slices.Concat(g.nodes, g.voters)) }
