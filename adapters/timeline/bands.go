package timeline

import (
	"net/netip"
	"slices"
	"time"

	"viplog/core/trace"
)

// band is one address: who announces it and whom clients reach.
type band struct {
	Address  string     `json:"address"`
	Rows     []bandRow  `json:"rows"`     // a node each, in the nodes' order
	Reach    []reachRow `json:"reach"`    // a client each, as they come
	Overlaps []bar      `json:"overlaps"` // two nodes answer, as an auditor sees it
	Notable  bool       `json:"notable"`  // something of it is among the findings

	addr netip.Addr
}

// bandRow is when one node announced the address.
type bandRow struct {
	Node int   `json:"node"`
	Bars []bar `json:"bars"`
}

// reachRow is whom one client reached.
type reachRow struct {
	Client string `json:"client"`
	Bars   []bar  `json:"bars"`
}

// isDark is the shortest time without an answer that is called so. Clients ask every so often, and a trace does not say how
// often: those of a simulation every 5 ms.
const isDark = 20 * time.Millisecond

// makeBands goes through the records of all addresses once.
func (m *model) makeBands() {
	var all []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, r := range m.records {
		if isOfBand(r) && !seen[r.Address] {
			seen[r.Address] = true
			all = append(all, r.Address)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	for _, addr := range all {
		m.Bands = append(m.Bands, band{Address: addr.String(), Rows: []bandRow{}, Reach: []reachRow{}, Overlaps: []bar{}, addr: addr})
	}
	held := map[int]state{} // by node: its state so far
	for i := range m.Nodes {
		held[i] = m.Lanes[i].Bars[0].State
	}
	for i, r := range m.records {
		n := m.node(r.Actor)
		if n >= 0 {
			m.nodeStands(i, n, held)
		}
		if !isOfBand(r) {
			continue
		}
		b := &m.Bands[m.bandOf(r.Address)]
		switch r.Kind {
		case trace.Probing, trace.Announced, trace.Demoted, trace.Stopped:
			m.announces(b, i, n, held[n])
		case trace.Served, trace.Dark:
			m.reaches(b, i)
		case trace.Overlap:
			b.Overlaps = append(b.Overlaps, bar{From: r.At, To: m.End, Open: true, Text: r.Text, Node: -1, Record: i})
		case trace.Alone:
			m.alone(b, i)
		default:
		}
	}
	for i := range m.Bands {
		slices.SortFunc(m.Bands[i].Rows, func(a, b bandRow) int { return a.Node - b.Node })
	}
}

// isOfBand tells whether a record says something of an address that clients use. That of a vote or a death is a node's.
func isOfBand(r trace.Record) bool {
	switch r.Kind {
	case trace.Probing, trace.Waits, trace.Announced, trace.Demoted, trace.Stopped, trace.Disputed, trace.Served, trace.Dark, trace.Overlap, trace.Alone:
		return r.Address.IsValid()
	default:
		return false
	}
}

// nodeStands ends what a node announces when it is down, and tells its bars when it holds without a lease.
func (m *model) nodeStands(i, n int, held map[int]state) {
	r := m.records[i]
	was := held[n]
	is := after(was, r)
	held[n] = is
	ends := r.Kind == trace.Started || is == down
	if !ends && (was == holding) == (is == holding) {
		return
	}
	for k := range m.Bands {
		row := m.Bands[k].row(n)
		if row == nil {
			continue
		}
		if last := row.open(); last != nil && ends {
			row.end(i, r.At, endOfProcess)
		} else if last != nil && last.State != probing {
			row.begin(i, r.At, m.End, stageOf(last.State, is))
		}
	}
}

// endOfProcess is why a node stops that says nothing any more.
const endOfProcess = "its process ended"

// stageOf is a stage after a lease was lost or found again.
func stageOf(stage, node state) state {
	switch {
	case stage == announcing && node == holding:
		return held
	case stage == held && node != holding:
		return announcing
	}
	return stage
}

func (b *band) row(n int) *bandRow {
	if i := slices.IndexFunc(b.Rows, func(r bandRow) bool { return r.Node == n }); i >= 0 {
		return &b.Rows[i]
	}
	return nil
}

// announces takes a node's record of an address.
func (m *model) announces(b *band, i, n int, node state) {
	r := m.records[i]
	row := b.row(n)
	if row == nil {
		b.Rows = append(b.Rows, bandRow{Node: n, Bars: []bar{}})
		row = &b.Rows[len(b.Rows)-1]
		if r.Kind == trace.Demoted || r.Kind == trace.Stopped { // it announced before the trace began
			row.Bars = append(row.Bars, bar{From: min(r.At, 0), To: m.End, Open: true, State: announcing, Node: n, Record: -1})
		}
	}
	switch r.Kind {
	case trace.Probing:
		row.begin(i, r.At, m.End, probing)
	case trace.Announced:
		row.begin(i, r.At, m.End, stageOf(announcing, node))
	case trace.Demoted:
		row.begin(i, r.At, m.End, handing)
	case trace.Stopped:
		row.end(i, r.At, r.Text)
	default:
	}
}

// open is the row's last bar if it lasts still.
func (r *bandRow) open() *bar {
	if n := len(r.Bars); n > 0 && r.Bars[n-1].Open {
		return &r.Bars[n-1]
	}
	return nil
}

func (r *bandRow) begin(i int, at, end time.Duration, stage state) {
	if last := r.open(); last != nil && last.State == stage {
		return
	}
	r.end(i, at, "")
	r.Bars = append(r.Bars, bar{From: at, To: end, Open: true, State: stage, Node: r.Node, Record: i})
}

// end ends what lasts, and says why if it was not the next stage.
func (r *bandRow) end(i int, at time.Duration, why string) {
	if last := r.open(); last != nil {
		last.To, last.Open, last.Text, last.until = at, false, why, i
	}
}

// reaches takes what a client saw.
func (m *model) reaches(b *band, i int) {
	r := m.records[i]
	k := slices.IndexFunc(b.Reach, func(row reachRow) bool { return row.Client == r.Actor })
	if k < 0 {
		k = len(b.Reach)
		b.Reach = append(b.Reach, reachRow{Client: r.Actor, Bars: []bar{}})
	}
	bars := b.Reach[k].Bars
	since := max(r.At-max(r.Gap, 0), 0)
	if n := len(bars); n > 0 && bars[n-1].State == dark && bars[n-1].Open {
		since = min(bars[n-1].From, r.At)
		bars = bars[:n-1]
	} else if n > 0 {
		last := &bars[n-1]
		since = max(since, last.From)
		last.To, last.Open = since, false
	}
	if r.Kind == trace.Dark {
		bars = append(bars, bar{From: since, To: m.End, Open: true, State: dark, Node: -1, Record: i})
	} else {
		if r.At > since && r.Gap > 0 {
			gap := bar{From: since, To: r.At, State: dark, Node: -1, Record: i}
			if r.Gap < isDark {
				gap.State = between
			}
			bars = append(bars, gap)
		}
		bars = append(bars, bar{From: r.At, To: m.End, Open: true, State: reached, Text: r.By, Node: m.node(r.By), Record: i})
	}
	b.Reach[k].Bars = bars
}

// alone ends the overlap that lasts; one that began before the trace did is as long as the record says.
func (m *model) alone(b *band, i int) {
	r := m.records[i]
	if n := len(b.Overlaps); n > 0 && b.Overlaps[n-1].Open {
		b.Overlaps[n-1].To, b.Overlaps[n-1].Open, b.Overlaps[n-1].until = r.At, false, i
		return
	}
	b.Overlaps = append(b.Overlaps, bar{From: max(r.At-max(r.Gap, 0), 0), To: r.At, Text: "two nodes", Node: -1, Record: -1, until: i})
}
