package staticpod

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"viplog/core/frontend"
)

// scene is what Render is asked for; tests change one thing of it.
type scene struct {
	p frontend.Plan
	l Local
	o Options
}

func sceneOf(t *testing.T) *scene {
	t.Helper()
	p := *samples(t)["admin-ha"]
	p.Members, p.Backends = slices.Clone(p.Members), slices.Clone(p.Backends)
	return &scene{p, localOf(p.Members[0].Address), images}
}

// refuses wants one change to be refused for one reason.
func refuses(t *testing.T, want error, change func(*scene)) {
	t.Helper()
	s := sceneOf(t)
	if _, err := Render(s.p, s.l, s.o); err != nil {
		t.Fatalf("before the change: %v", err)
	}
	change(s)
	files, err := Render(s.p, s.l, s.o)
	if !errors.Is(err, want) || files != nil {
		t.Errorf("%d files and %v, want %v", len(files), err, want)
	}
	if err != nil && (strings.Count(err.Error(), "staticpod: ") != 1 || !strings.Contains(err.Error(), ";")) {
		t.Errorf("more than one reason, or nothing that would be right:\n%v", err)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestANodeThatIsNoMemberIsRefused(t *testing.T) {
	refuses(t, ErrNotMember, func(s *scene) { s.l.Address = addr("10.200.0.9") })
}

func TestEqualPrioritiesAreRefused(t *testing.T) {
	refuses(t, ErrPriority, func(s *scene) { s.p.Members[2].Priority = s.p.Members[1].Priority })
}

func TestPrioritiesThatVRRPKeepsForItselfAreRefused(t *testing.T) {
	refuses(t, ErrPriority, func(s *scene) { s.p.Members[1].Priority = 0 })
	refuses(t, ErrPriority, func(s *scene) { s.p.Members[1].Priority = 255 })
}

func TestRouterIDZeroIsRefused(t *testing.T) {
	refuses(t, ErrRouterID, func(s *scene) { s.p.RouterID = 0 })
}

func TestAListOfPeersThatWouldBeEmptyIsRefused(t *testing.T) {
	s := sceneOf(t)
	s.p.Members = []frontend.Member{s.p.Members[0], {Address: s.p.Members[0].Address, Priority: 9}}
	if _, err := Render(s.p, s.l, s.o); !errors.Is(err, ErrPeers) || !strings.Contains(err.Error(), "of 2 members none is another node") {
		t.Errorf("got %v", err)
	}
}

func TestAMemberTwiceIsRefused(t *testing.T) {
	refuses(t, ErrPeers, func(s *scene) { s.p.Members[2].Address = s.p.Members[1].Address })
}

func TestAPeerBehindARouterIsRefused(t *testing.T) {
	refuses(t, ErrSubnet, func(s *scene) { s.p.Members[2].Address = addr("10.201.0.4") })
}

func TestTheAPIServersPortOnItsOwnHostIsRefused(t *testing.T) {
	refuses(t, ErrPort, func(s *scene) { s.p.Port = frontend.BackendPort })
}

func TestTheAPIServersPortOnAnotherHostIsFine(t *testing.T) {
	s := sceneOf(t)
	s.p.Port, s.p.Backends = frontend.BackendPort, []netip.Addr{addr("10.200.0.20")}
	if _, err := Render(s.p, s.l, s.o); err != nil {
		t.Error(err)
	}
}

func TestPortZeroIsRefused(t *testing.T) {
	refuses(t, ErrPort, func(s *scene) { s.p.Port = 0 })
}

func TestAMonitorPortThatIsTakenIsRefused(t *testing.T) {
	refuses(t, ErrPort, func(s *scene) { s.o.MonitorPort = s.p.Port })
	refuses(t, ErrPort, func(s *scene) { s.o.MonitorPort = frontend.BackendPort })
}

func TestAPlanWithoutBackendsIsRefused(t *testing.T) {
	refuses(t, ErrNoBackend, func(s *scene) { s.p.Backends = nil })
}

func TestABackendTwiceIsRefused(t *testing.T) {
	refuses(t, ErrBackendTwice, func(s *scene) { s.p.Backends[1] = s.p.Backends[0] })
}

func TestTheVIPOfAMemberIsRefused(t *testing.T) {
	refuses(t, ErrVIP, func(s *scene) {
		s.p.VIP = s.p.Members[1].Address
		s.p.Backends = []netip.Addr{addr("10.200.0.20")}
	})
}

func TestTheVIPOfABackendIsRefused(t *testing.T) {
	refuses(t, ErrVIP, func(s *scene) { s.p.Backends[0] = s.p.VIP })
}

func TestAVIPOutsideTheInterfacesSubnetIsRefused(t *testing.T) {
	refuses(t, ErrSubnet, func(s *scene) { s.p.VIP = addr("10.201.0.71") })
}

func TestAVIPThatNamesTheSubnetIsRefused(t *testing.T) {
	refuses(t, ErrVIP, func(s *scene) { s.p.VIP = addr("10.200.0.0") })
	refuses(t, ErrVIP, func(s *scene) { s.p.VIP = addr("10.200.0.255") })
}

func TestWhatIsNoInterfaceIsRefused(t *testing.T) {
	for _, name := range []string{"", "lo", "eth0 ", "eth0\n}", "../eth0", "anameof16chars__", "eth0;", "eth{0}"} {
		refuses(t, ErrInterface, func(s *scene) { s.l.Interface = name })
	}
	for _, name := range []string{"eth0", "bond0.100", "enp1s0f0np0", "br-ex", "anameof15chars_"} {
		s := sceneOf(t)
		s.l.Interface = name
		if _, err := Render(s.p, s.l, s.o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClusterNameThatWouldBeConfigurationIsRefused(t *testing.T) {
	for _, name := range []string{"", "a\n  notify /bin/evil", "a b", "a}", "Ä"} {
		refuses(t, ErrName, func(s *scene) { s.p.Cluster = name })
	}
}

func TestAddressesWithAZoneOrOfAnotherFamilyAreRefused(t *testing.T) {
	evil := addr("fe80::1%eth0\nnotify x")
	refuses(t, ErrAddress, func(s *scene) { s.p.Backends[0] = evil })
	refuses(t, ErrAddress, func(s *scene) { s.p.Backends[0] = addr("fd00::1") })
	refuses(t, ErrAddress, func(s *scene) { s.p.Backends[0] = addr("::ffff:10.200.0.2") })
	for _, none := range []string{"127.0.0.1", "0.0.0.0", "224.0.0.18", "255.255.255.255", "169.254.0.1", "fe80::1"} {
		refuses(t, ErrAddress, func(s *scene) { s.p.Backends[0] = addr(none) })
	}
	refuses(t, ErrAddress, func(s *scene) { s.p.Backends[0] = netip.Addr{} })
}

func TestImagesThatAreNoneAreRefused(t *testing.T) {
	refuses(t, ErrImage, func(s *scene) { s.o.Keepalived = "" })
	refuses(t, ErrImage, func(s *scene) { s.o.HAProxy = "haproxy:2.6\n" })
	refuses(t, ErrImage, func(s *scene) { s.o.Mirrors = []Mirror{{"docker.io", "a b"}} })
}

func TestFoldersThatAreNoneAreRefused(t *testing.T) {
	for _, folder := range []string{"etc/viplog", "/etc/viplog/../x", "/etc/viplog/", "/etc/vip log", "/etc/\"viplog", DefaultManifestFolder} {
		refuses(t, ErrFolder, func(s *scene) { s.o.ConfigFolder = folder })
	}
}

func TestAFolderTooDeepForASocketIsRefused(t *testing.T) {
	refuses(t, ErrFolder, func(s *scene) { s.o.RunFolder = "/run/" + strings.Repeat("a", maxSocketName) })
}

func TestNoGratuitousARPIsRefused(t *testing.T) {
	refuses(t, ErrGARPRepeat, func(s *scene) { s.p.GARPRepeat = 0 })
	refuses(t, ErrGARPRepeat, func(s *scene) { s.p.GARPRepeat = maxGARPRepeat + 1 })
}

// TestAMemberThatIsAloneIsServed is the single control-plane node, which has no peers.
func TestAMemberThatIsAloneIsServed(t *testing.T) {
	s := sceneOf(t)
	s.p.Members = s.p.Members[:1]
	files, err := Render(s.p, s.l, s.o)
	if err != nil {
		t.Fatal(err)
	}
	if text := contentAt(t, files, "/etc/viplog/frontend/keepalived.conf"); strings.Contains(text, "unicast") || strings.Contains(text, "track_script") {
		t.Errorf("peers or a check in\n%s", text)
	}
}
