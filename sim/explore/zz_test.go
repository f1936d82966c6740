package explore
import ("testing";"fmt")
func TestZZ(t *testing.T){
  for _,o:=range []OwnershipOptions{{Nodes: 2, Voters: 1, Facts: 5, Crashes: 2, Snapshots: true, Leaves: true},{Nodes: 3, Voters: 1, Facts: 5, Crashes: 2, Snapshots: true, Leaves: true},{Nodes: 2, Voters: 3, Facts: 5, Crashes: 1, Snapshots: true}} {
  for i,s:=range WalkModel(o,824,5,13) { fmt.Println(i,s.Name,s.Acts,s.Announces,s.Might) } }
}
