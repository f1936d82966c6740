package ledger

// loads counts what each node does, by the nodes' slots: the addresses that it owns and, of those, how many each other
// node backs at each position. Positions are counted apart: with three nodes everyone backs everything, and only the first
// standby says where a death's load goes. It is derived from the lists.
type loads struct {
	counts []int32 // of stride owners: owned, then backed by position and standby's slot
	stride int     // slots that there is room for
	shared bool    // with a clone: to be copied before it is written
}

// positions of standbys in a list.
const positions = ListLength - 1

func (l *loads) row() int { return 1 + positions*l.stride }

func (l *loads) owned(slot int) int {
	if slot >= l.stride {
		return 0
	}
	return int(l.counts[slot*l.row()])
}

// backed is how many addresses of an owner a node backs at a position, from 1.
func (l *loads) backed(owner, standby, position int) int {
	if max(owner, standby) >= l.stride {
		return 0
	}
	return int(l.counts[owner*l.row()+1+(position-1)*l.stride+standby])
}

// reserve makes room for so many slots.
func (l *loads) reserve(slots int) {
	if slots <= l.stride {
		return
	}
	grown := loads{stride: max(2*l.stride, slots, 4)}
	grown.counts = make([]int32, grown.stride*grown.row())
	for owner := range l.stride {
		from, to := l.counts[owner*l.row():], grown.counts[owner*grown.row():]
		to[0] = from[0]
		for position := range positions {
			copy(to[1+position*grown.stride:], from[1+position*l.stride:1+(position+1)*l.stride])
		}
	}
	*l = grown
}

// add counts a list by slots, or takes it out.
func (l *loads) add(list []int, by int32) {
	if len(list) == 0 {
		return
	}
	if l.shared {
		l.counts, l.shared = append([]int32(nil), l.counts...), false
	}
	row := l.counts[list[0]*l.row():]
	row[0] += by
	for i, standby := range list[1:] {
		row[1+i*l.stride+standby] += by
	}
}
