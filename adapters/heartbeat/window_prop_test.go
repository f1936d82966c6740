package heartbeat

import (
	"testing"

	"pgregory.net/rapid"
)

// The model remembers every counter that it took.
func TestTheWindowTakesEachCounterOnceLikeASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		taken, greatest := map[uint64]bool{}, uint64(0)
		base := rapid.SampledFrom([]uint64{0, 1 << 40, 1<<64 - 5000}).Draw(t, "base")
		near := rapid.Uint64Range(0, 2*windowSize)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			var n uint64
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				n = base + near.Draw(t, "from the base")
			case 1:
				n = greatest - min(greatest, near.Draw(t, "behind"))
			case 2:
				n = greatest + rapid.Uint64Range(0, 3).Draw(t, "ahead")
			default:
				n = greatest - min(greatest, windowSize-1+rapid.Uint64Range(0, 2).Draw(t, "at the edge"))
			}
			want := n > 0 && !taken[n] && (n > greatest || greatest-n < windowSize)
			if got := w.take(n); got != want {
				t.Fatalf("counter %d after %d: taken %t, want %t", n, greatest, got, want)
			}
			if want {
				taken[n], greatest = true, max(greatest, n)
			}
		}
	})
}
