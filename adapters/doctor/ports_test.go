//go:build linux

package doctor

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"viplog/fixtures/lab"
)

func port(id, network, at, holder string) Port {
	return Port{ID: id, Network: network, At: netip.MustParseAddrPort(at), Holder: holder, For: "the tests", Do: "end it"}
}

func TestPortsAreFreeOrHeldByWhomTheyAreFor(t *testing.T) {
	h := lab.New(t).Host("node")
	var mine string
	h.Must(func() error {
		mine = textOf("/proc", "self", "comm")
		for _, at := range []string{"0.0.0.0:443", "127.0.0.1:11010", "[::]:6444"} {
			l, err := net.Listen("tcp", at)
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = l.Close() })
		}
		u, err := net.ListenPacket("udp", "127.0.0.1:7947")
		if err == nil {
			t.Cleanup(func() { _ = u.Close() })
		}
		return err
	})
	f := Facts{Ports: []Port{
		port("vip", "tcp", "[::]:443", "haproxy"), port("api-server", "tcp", "0.0.0.0:6444", mine), port("monitor", "tcp", "127.0.0.2:11010", "haproxy"),
		port("heartbeat", "udp", "127.0.0.1:7947", "viplog"), port("nats", "tcp", "0.0.0.0:4222", "viplog"), port("udp", "udp", "0.0.0.0:443", "viplog"),
	}}
	all := looked(t, h, f, "ports")
	expect(t, all, "ports/vip", Error, mine+" (pid ")
	expect(t, all, "ports/api-server", OK, mine+" (pid ")
	expect(t, all, "ports/monitor", OK, "free")
	expect(t, all, "ports/heartbeat", Error, "has 127.0.0.1:7947, which is needed for the tests")
	expect(t, all, "ports/nats", OK, "free")
	expect(t, all, "ports/udp", OK, "free")
	if len(all) != len(f.Ports) || all[0].About != "443/tcp" {
		t.Errorf("%+v", all)
	}
}

// Recorded of a host on which haproxy and a client of it run, without the right to see whose they are.
const recordedTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 26157 1 0000000000000000 100 0 0 10 0
   1: 0100000A:1924 0200000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 26158 1 0000000000000000 20 4 30 10 -1
`

func TestAPortOfSomebodyWhoCannotBeSeenIsDoubtful(t *testing.T) {
	files := map[string]string{"thread-self/net/tcp": recordedTCP, "thread-self/net/udp": "  sl\n"}
	h := host{proc: recorded(t, files)}
	f := Facts{Ports: []Port{port("vip", "tcp", "0.0.0.0:443", "haproxy"), port("client", "tcp", "0.0.0.0:6436", "viplog")}}
	all := lookedBy(t, nil, h, f, "ports")
	expect(t, all, "ports/vip", Warning, "cannot be seen")
	expect(t, all, "ports/client", OK, "free") // a connection holds no port

	files["812/comm"] = "nginx\n"
	h = host{proc: recorded(t, files)}
	if err := os.Mkdir(h.proc+"/812/fd", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[26157]", h.proc+"/812/fd/6"); err != nil {
		t.Fatal(err)
	}
	expect(t, lookedBy(t, nil, h, f, "ports"), "ports/vip", Error, "nginx (pid 812) has 0.0.0.0:443")
	f.Ports[0].Holder = "nginx"
	well(t, lookedBy(t, nil, h, f, "ports"))
}

func TestRowsOfSocketsAreRead(t *testing.T) {
	for row, want := range map[string]string{
		"0: 0100007F:1BB7 00000000:0000 07 0:0 0:0 0 0 0 4711 2":                                               "127.0.0.1:7095 07 4711",
		"1: 00000000000000000000000000000000:1BB7 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1": "[::]:7095 0A 12",
		"1: 0000000000000000FFFF00000100000A:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1": "10.0.0.1:80 0A 12",
		"1: 000000FD000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1": "[fd00::1]:80 0A 12",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode":     "",
		"0: 0100007F:1BB7 00000000:0000 07":                       "",
		"0: 01007F:1BB7 00000000:0000 07 0:0 0:0 0 0 0 4711 2":    "",
		"0: 0100007F:1BB7F 00000000:0000 07 0:0 0:0 0 0 0 4711 2": "",
		"0: 0100007F:1BB7 00000000:0000 07 0:0 0:0 0 0 0 -1 2":    "",
	} {
		s, state, err := parseSocket(row)
		got := ""
		if err == nil {
			got = strings.Join([]string{s.at.String(), state, strconv.FormatUint(s.inode, 10)}, " ")
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", row, got, err, want)
		}
	}
}
