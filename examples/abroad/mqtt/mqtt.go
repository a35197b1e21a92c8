// Package mqtt runs the broker mochi-mqtt, and clients of paho that publish and subscribe with QoS 1.
package mqtt

import (
	"context"
	"io"
	"log/slog"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

const topic = "orders/new"

// serve is the broker: it runs until its process ends.
func serve(ctx context.Context) error {
	broker := mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := broker.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := broker.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: ":1883"})); err != nil {
		return err
	}
	if err := broker.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// connect connects under a name, whose session the broker keeps. What the broker has kept arrives before
// the client can subscribe again.
func connect(name string, connected paho.OnConnectHandler, got paho.MessageHandler) (paho.Client, error) {
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://server:1883").SetClientID(name).SetCleanSession(false).
		SetKeepAlive(5 * time.Second).SetPingTimeout(2 * time.Second).SetConnectTimeout(2 * time.Second).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetMaxReconnectInterval(2 * time.Second).SetOnConnectHandler(connected).
		SetDefaultPublishHandler(got))
	token := client.Connect()
	token.Wait()
	return client, token.Error()
}

// subscribe tells of each message, until its process ends. It says when the broker knows of it.
func subscribe(ctx context.Context, name string, ready func(), got func(id string)) error {
	subscribe := func(client paho.Client) {
		token := client.Subscribe(topic, 1, nil)
		if token.WaitTimeout(10*time.Second) && token.Error() == nil {
			ready()
		}
	}
	_, err := connect(name, subscribe, func(_ paho.Client, m paho.Message) { got(string(m.Payload())) })
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
