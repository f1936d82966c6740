package segment

import "slices"

// Split parts the segment: the ports of a group reach each other and no others; the ports in no group are a part of
// their own. It is several switches whose trunks went down: each keeps what it learned at its own ports and has
// forgotten what lay behind a trunk. Carriers stay. A segment that is split is split anew.
func (s *Segment) Split(groups ...[]*Port) {
	s.Heal()
	whole := s.parts[0]
	s.parts = nil
	rest := &part{}
	for range groups {
		s.parts = append(s.parts, &part{})
	}
	for _, p := range whole.ports {
		p.part, p.station = rest, nil
		for i, group := range groups {
			if slices.Contains(group, p) {
				p.part = s.parts[i]
			}
		}
		p.part.ports = append(p.part.ports, p)
	}
	// A port attached later is in the first of the parts: the rest, where there is one.
	if len(rest.ports) > 0 {
		s.parts = slices.Insert(s.parts, 0, rest)
	}
	for _, part := range s.parts {
		part.table = newTable()
		part.table.take(whole.table, part)
	}
}

// Heal joins the parts. A MAC that two parts have is where it was seen last.
func (s *Segment) Heal() {
	if len(s.parts) == 1 {
		return
	}
	whole := &part{ports: slices.Clone(s.ports), table: newTable()}
	for _, part := range s.parts {
		whole.table.take(part.table, part)
	}
	for _, p := range s.ports {
		p.part, p.station = whole, nil
	}
	s.parts = []*part{whole}
}
