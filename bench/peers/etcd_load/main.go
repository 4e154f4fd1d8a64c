// Command etcd_load drives etcd with its own Go client: a closed loop with N operations in flight, orders
// and answers as JSON lines (see bench/lines.py), latencies in the buckets of bench/histogram.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand"
	"os"
	"sort"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const subBits = 7

type order struct {
	ID         int      `json:"id"`
	Do         string   `json:"do"`
	Op         string   `json:"op"`
	Endpoints  []string `json:"endpoints"`
	InFlight   int      `json:"in_flight"`
	WarmupS    float64  `json:"warmup_s"`
	Seconds    float64  `json:"seconds"`
	Keys       int      `json:"keys"`
	ValueBytes int      `json:"value_bytes"`
}

type histogram struct {
	SubBits int        `json:"sub_bits"`
	MaxNs   int64      `json:"max_ns"`
	Counts  [][2]int64 `json:"counts"`
}

type load struct {
	Ops     int       `json:"ops"`
	Errors  int       `json:"errors"`
	WindowS float64   `json:"window_s"`
	Latency histogram `json:"latency"`
	Error   string    `json:"error"`
}

func bucketOf(ns int64) int64 {
	if ns < 2<<subBits {
		return max(ns, 0)
	}
	shift := int64(bits.Len64(uint64(ns)) - subBits - 1)
	return shift<<subBits + ns>>shift
}

var clients = map[string][]*clientv3.Client{}

// connections of one endpoint: one per 128 operations in flight, kept between orders.
func connections(endpoint string, wanted int) ([]*clientv3.Client, error) {
	for len(clients[endpoint]) < wanted {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
		})
		if err != nil {
			return nil, err
		}
		clients[endpoint] = append(clients[endpoint], client)
	}
	return clients[endpoint][:wanted], nil
}

func status(o order) (any, error) {
	members := map[string]any{}
	for _, endpoint := range o.Endpoints {
		conns, err := connections(endpoint, 1)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		answer, err := conns[0].Status(ctx, endpoint)
		cancel()
		if err != nil {
			return nil, err
		}
		members[endpoint] = map[string]any{
			"leads": answer.Leader == answer.Header.MemberId, "term": answer.RaftTerm, "version": answer.Version,
		}
	}
	return members, nil
}

func run(o order) (any, error) {
	perEndpoint := (o.InFlight + len(o.Endpoints) - 1) / len(o.Endpoints)
	var pool []*clientv3.Client
	for _, endpoint := range o.Endpoints {
		conns, err := connections(endpoint, (perEndpoint+127)/128)
		if err != nil {
			return nil, err
		}
		pool = append(pool, conns...)
	}
	value := make([]byte, o.ValueBytes)
	rand.Read(value)
	text := string(value)
	begin := time.Now().Add(time.Duration(o.WarmupS * 1e9))
	end := begin.Add(time.Duration(o.Seconds * 1e9))
	samples := make([][]int64, o.InFlight)
	errs := make([]error, o.InFlight)
	failed := make([]int, o.InFlight)
	var group sync.WaitGroup
	for worker := 0; worker < o.InFlight; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			client := pool[worker%len(pool)]
			started := time.Now()
			for n := worker; started.Before(end); n += o.InFlight {
				key := fmt.Sprintf("bench/%06d", n%o.Keys)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				var err error
				if o.Op == "put" {
					_, err = client.Put(ctx, key, text)
				} else {
					_, err = client.Get(ctx, key) // linearizable is the default
				}
				cancel()
				now := time.Now()
				if err != nil {
					errs[worker] = err
					failed[worker]++
					time.Sleep(5 * time.Millisecond)
				} else if !now.Before(begin) && now.Before(end) {
					samples[worker] = append(samples[worker], now.Sub(started).Nanoseconds())
				}
				started = time.Now()
			}
		}()
	}
	group.Wait()
	return gathered(o, samples, failed, errs), nil
}

func gathered(o order, samples [][]int64, failed []int, errs []error) load {
	result := load{WindowS: o.Seconds, Latency: histogram{SubBits: subBits, Counts: [][2]int64{}}}
	counts := map[int64]int64{}
	for worker := range samples {
		result.Ops += len(samples[worker])
		result.Errors += failed[worker]
		if errs[worker] != nil {
			result.Error = errs[worker].Error()
		}
		for _, ns := range samples[worker] {
			counts[bucketOf(ns)]++
			result.Latency.MaxNs = max(result.Latency.MaxNs, ns)
		}
	}
	for bucket, count := range counts {
		result.Latency.Counts = append(result.Latency.Counts, [2]int64{bucket, count})
	}
	sort.Slice(result.Latency.Counts, func(a, b int) bool {
		return result.Latency.Counts[a][0] < result.Latency.Counts[b][0]
	})
	return result
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"hello": map[string]any{"client": "go.etcd.io/etcd/client/v3"}, "pid": os.Getpid()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		var answer any
		err := json.Unmarshal(lines.Bytes(), &o)
		if err == nil {
			switch o.Do {
			case "load":
				answer, err = run(o)
			case "status":
				answer, err = status(o)
			case "stop":
				out.Encode(map[string]any{"id": o.ID, "ok": true, "answer": nil})
				return
			default:
				err = fmt.Errorf("no order %q", o.Do)
			}
		}
		if err != nil {
			out.Encode(map[string]any{"id": o.ID, "ok": false, "error": err.Error()})
		} else {
			out.Encode(map[string]any{"id": o.ID, "ok": true, "answer": answer})
		}
	}
}
