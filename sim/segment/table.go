package segment

import "time"

// table is a switch's MAC table.
type table struct {
	index    map[MAC]*station
	stations []*station // in the order in which they were learned
}

// station is where the switch last saw a MAC as the source of a frame.
type station struct {
	mac   MAC
	port  *Port
	flaps int // of the port when it was learned: a lost carrier flushes
	seen  time.Duration
}

func newTable() *table { return &table{index: map[MAC]*station{}} }

func (t *table) learn(mac MAC, from *Port, now time.Duration) {
	known := from.station
	if known == nil || known.mac != mac {
		if known = t.index[mac]; known == nil {
			known = &station{mac: mac}
			t.index[mac] = known
			t.stations = append(t.stations, known)
		}
		from.station = known
	}
	known.port, known.flaps, known.seen = from, from.flaps, now
}

// find gives the port of a MAC, nil when the table does not have it.
func (t *table) find(mac MAC, now, ageing time.Duration) *Port {
	known := t.index[mac]
	if known == nil || now-known.seen > ageing || known.flaps != known.port.flaps {
		return nil
	}
	return known.port
}

// take copies another table's stations of a part; of two the one seen last stays.
func (t *table) take(other *table, part *part) {
	for _, theirs := range other.stations {
		if theirs.port.part != part {
			continue
		}
		if mine := t.index[theirs.mac]; mine == nil {
			copied := *theirs
			t.index[theirs.mac] = &copied
			t.stations = append(t.stations, &copied)
		} else if theirs.seen > mine.seen {
			*mine = *theirs
		}
	}
}
