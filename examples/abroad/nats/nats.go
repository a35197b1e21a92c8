// Package nats runs a NATS server with JetStream, and clients of nats.go that publish and consume.
package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const stream = "ORDERS"

// serve is the server: it runs until its process ends.
func serve(ctx context.Context, dir string) error {
	ns, err := server.NewServer(&server.Options{Port: 4222, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	go ns.Start()
	if !ns.ReadyForConnections(10 * time.Second) {
		return errors.New("the server is not ready")
	}
	<-ctx.Done()
	return nil
}

// connect connects to the server, and to its stream, which is in memory.
func connect(ctx context.Context, name string) (jetstream.JetStream, jetstream.Stream, error) {
	nc, err := natsgo.Connect("nats://server", natsgo.Name(name), natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	for {
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		s, err := js.CreateOrUpdateStream(short, jetstream.StreamConfig{
			Name: stream, Subjects: []string{"orders.*"}, Storage: jetstream.MemoryStorage,
		})
		cancel()
		if err == nil || ctx.Err() != nil {
			return js, s, err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// publish publishes an order until the server has acknowledged it.
func publish(ctx context.Context, js jetstream.JetStream, id string) error {
	var err error
	for range 60 {
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err = js.Publish(short, "orders.new", []byte(id), jetstream.WithMsgID(id))
		cancel()
		if err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s: %w", id, err)
}

// consume tells of each order that the server delivers, and of its place in the stream.
func consume(ctx context.Context, s jetstream.Stream, got func(id string, sequence uint64)) error {
	for {
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		consumer, err := s.CreateOrUpdateConsumer(short, jetstream.ConsumerConfig{
			Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 3 * time.Second,
		})
		cancel()
		if err != nil {
			time.Sleep(500 * time.Millisecond)
			continue
		}
		consuming, err := consumer.Consume(func(msg jetstream.Msg) {
			meta, err := msg.Metadata()
			if err != nil {
				return
			}
			got(string(msg.Data()), meta.Sequence.Stream)
			_ = msg.Ack()
		})
		if err != nil {
			return err
		}
		<-consuming.Closed()
	}
}
