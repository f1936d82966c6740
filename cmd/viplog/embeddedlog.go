package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"go.uber.org/fx"

	"viplog/adapters/clusterfile"
	"viplog/adapters/jetstream"
	"viplog/core/log"
)

// embeddedLog is a cluster's log on a NATS server in this process.
type embeddedLog struct {
	options embeddedLogOptions
	std     streams
	folder  string
	server  *jetstream.Server
	conn    *nats.Conn
	log     log.Log
}

type embeddedLogOptions struct {
	cluster string
	folder  string // empty: a temporary one
	listen  bool   // on the usual port of NATS, or a free one if that is taken
}

func newEmbeddedLog(options embeddedLogOptions, std streams) *embeddedLog {
	return &embeddedLog{options: options, std: std}
}

func (l *embeddedLog) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = l.stop(ctx)
		}
	}()
	if l.folder = l.options.folder; l.folder == "" {
		if l.folder, err = os.MkdirTemp("", "viplog-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return err
	}
	options := jetstream.ServerOptions{Name: "viplog", Store: filepath.Join(l.folder, "log")}
	if l.options.listen {
		options.Host, options.Port = "127.0.0.1", freePort()
	}
	if l.server, err = jetstream.StartServer(options); err != nil {
		return err
	}
	if l.options.listen {
		fmt.Fprintln(l.std.err, "NATS listens on", l.server.URL())
	}
	if l.conn, err = l.server.Connect(); err != nil {
		return err
	}
	l.log, err = jetstream.Open(ctx, l.conn, jetstream.Options{
		Cluster: l.options.cluster, Create: true, TrustFeed: true,
	})
	return err
}

func (l *embeddedLog) stop(context.Context) error {
	if l.conn != nil {
		l.conn.Close()
	}
	if l.server != nil {
		l.server.Close()
	}
	if l.options.folder == "" && l.folder != "" {
		return os.RemoveAll(l.folder)
	}
	return nil
}

// freePort is the usual port of NATS, or -1, which stands for any free one, if something listens there.
func freePort() int {
	const usual = 4222
	listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", usual))
	if err != nil {
		return -1
	}
	_ = listener.Close()
	return usual
}

// devParts are the parts of `viplog dev`.
func devParts(std streams, file *clusterfile.File, flags devFlags) fx.Option {
	return fx.Options(
		fx.Supply(std, file, embeddedLogOptions{cluster: file.Cluster.Name, folder: flags.data, listen: !flags.once}, flags),
		part[*embeddedLog]("jetstream", newEmbeddedLog),
		part[*devCluster]("dev", newDevCluster),
	)
}
