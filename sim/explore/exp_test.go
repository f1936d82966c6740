package explore
import ("testing";"os";"fmt";"runtime")
func TestExp(t *testing.T) {
	var o OwnershipOptions
	limit := 0
	fmt.Sscan(os.Getenv("EXP"), &o.Nodes, &o.Facts, &o.Crashes, &limit)
	r := Visit(Ownership(o), limit, func(r Result){ var m runtime.MemStats; runtime.ReadMemStats(&m); fmt.Println(r, m.HeapAlloc>>20) })
	fmt.Println(r)
}
