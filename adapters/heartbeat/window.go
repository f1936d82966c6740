package heartbeat

const (
	windowWords = 16
	// windowSize is how far a counter may lie behind the greatest: all but the word that is being filled, as in RFC 6479. It is a
	// minute and a half of one node's heartbeats at ten a second, and more than a socket's buffer holds of them.
	windowSize = (windowWords - 1) * 64
)

// window tells which counters of a session were taken (RFC 4303, section 3.4.3), as a ring of bits (RFC 6479). It is asked only after a
// datagram was opened, so that a forged one changes nothing.
type window struct {
	greatest uint64 // 0 for none: counters begin at 1
	taken    [windowWords]uint64
}

// take tells whether a counter is new, and takes it. One that is too far behind counts as taken.
func (w *window) take(counter uint64) bool {
	block := counter / 64
	switch {
	case counter == 0 || counter < w.greatest && w.greatest-counter >= windowSize:
		return false
	case counter > w.greatest:
		newest := w.greatest / 64
		for i := range min(block-newest, windowWords) {
			w.taken[(newest+1+i)%windowWords] = 0
		}
		w.greatest = counter
	}
	word, bit := &w.taken[block%windowWords], uint64(1)<<(counter%64)
	if *word&bit > 0 {
		return false
	}
	*word |= bit
	return true
}
