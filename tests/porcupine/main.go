// Command porcupine judges histories of registers with Porcupine, a checker that we did not write.
//
// The law of this file: it shares nothing with consistency/check but the format of a line. Each file
// is a history as JSON lines; the order of its lines is the order of its events. A register begins
// as null. What failed never happened; what has no answer may take effect at any time after its
// call, or never. Prints one line per file, `held|broken|unknown|malformed <path> <why>`.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const lineBytesMax = 16 << 20

// line is what a register needs of an event; the other fields of a history are let through.
type line struct {
	Type    string          `json:"type"`
	Process json.RawMessage `json:"process"`
	F       string          `json:"f"`
	Key     json.RawMessage `json:"key"`
	Value   json.RawMessage `json:"value"`
}

// asked is the input of an operation, answered its output. Values are canonical texts.
type asked struct {
	key, f        string
	expected, new string
}

type answered struct {
	known   bool
	value   string // of a read
	swapped bool   // of a cas
}

var model = porcupine.Model{
	Partition: partition,
	Init:      func() interface{} { return "null" },
	Step: func(state, input, output interface{}) (bool, interface{}) {
		in, out := input.(asked), output.(answered)
		switch in.f {
		case "read":
			return out.value == state, state
		case "write":
			return true, in.new
		}
		if matches := in.expected == state; out.known && matches != out.swapped {
			return false, state
		} else if matches {
			return true, in.new
		}
		return true, state
	},
}

func partition(history []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, op := range history {
		key := op.Input.(asked).key
		parts[key] = append(parts[key], op)
	}
	all := [][]porcupine.Operation{}
	for _, part := range parts {
		all = append(all, part)
	}
	return all
}

// canonical gives equal JSON values equal texts: object keys sorted, numbers by what they are.
func canonical(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "null", nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value interface{}
	if err := decoder.Decode(&value); err != nil {
		return "", err
	}
	var text strings.Builder
	write(&text, value)
	return text.String(), nil
}

func write(text *strings.Builder, value interface{}) {
	switch v := value.(type) {
	case json.Number:
		if exact, ok := new(big.Rat).SetString(v.String()); ok {
			text.WriteString(exact.RatString())
		} else {
			text.WriteString(v.String())
		}
	case []interface{}:
		text.WriteByte('[')
		for _, item := range v {
			write(text, item)
			text.WriteByte(',')
		}
		text.WriteByte(']')
	case map[string]interface{}:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		text.WriteByte('{')
		for _, name := range names {
			fmt.Fprintf(text, "%q:", name)
			write(text, v[name])
			text.WriteByte(',')
		}
		text.WriteByte('}')
	case string:
		fmt.Fprintf(text, "%q", v)
	default:
		fmt.Fprint(text, map[interface{}]string{nil: "null", true: "true", false: "false"}[v])
	}
}

func question(event line) (asked, error) {
	key, err := canonical(event.Key)
	if err != nil {
		return asked{}, err
	}
	in := asked{key: key, f: event.F}
	switch event.F {
	case "read":
	case "write":
		in.new, err = canonical(event.Value)
	case "cas":
		var both []json.RawMessage
		if err = json.Unmarshal(event.Value, &both); err == nil && len(both) != 2 {
			err = fmt.Errorf("cas takes [expected, new]")
		}
		if err == nil {
			in.expected, err = canonical(both[0])
		}
		if err == nil {
			in.new, err = canonical(both[1])
		}
	default:
		err = fmt.Errorf("a register knows read, write and cas, not %q", event.F)
	}
	return in, err
}

// load pairs calls and answers. Times are places in the file, so no two are equal.
func load(reader io.Reader) ([]porcupine.Operation, error) {
	lines := bufio.NewScanner(reader)
	lines.Buffer(make([]byte, 0, 1<<16), lineBytesMax)
	open, clients := map[string]porcupine.Operation{}, map[string]int{}
	var history []porcupine.Operation
	at := int64(0)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		at++
		var event line
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		process := string(event.Process)
		if _, seen := clients[process]; !seen {
			clients[process] = len(clients)
		}
		op, running := open[process]
		if event.Type == "invoke" {
			if running {
				return nil, fmt.Errorf("line %d: process %s has two operations in flight", at, process)
			}
			in, err := question(event)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", at, err)
			}
			open[process] = porcupine.Operation{ClientId: clients[process], Input: in, Call: at}
			continue
		}
		if !running {
			return nil, fmt.Errorf("line %d: process %s has nothing in flight", at, process)
		}
		switch event.Type {
		case "ok":
			value, err := canonical(event.Value)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", at, err)
			}
			op.Output = answered{known: true, value: value, swapped: value != "false"}
			op.Return = at
			history = append(history, op)
			delete(open, process)
		case "fail":
			delete(open, process)
		case "unknown", "info":
			history = append(history, unanswered(op)...)
			delete(open, process)
		default:
			return nil, fmt.Errorf("line %d: type %q", at, event.Type)
		}
	}
	for _, op := range open {
		history = append(history, unanswered(op)...)
	}
	for number := range history {
		if history[number].Return == 0 {
			at++
			history[number].Return = at
		}
	}
	return history, lines.Err()
}

// unanswered keeps an operation that may still take effect; a read has none.
func unanswered(op porcupine.Operation) []porcupine.Operation {
	if op.Input.(asked).f == "read" {
		return nil
	}
	op.Output = answered{}
	return []porcupine.Operation{op}
}

func judge(path string, limit time.Duration) (string, string) {
	file, err := os.Open(path)
	if err != nil {
		return "malformed", err.Error()
	}
	defer file.Close()
	history, err := load(file)
	if err != nil {
		return "malformed", err.Error()
	}
	words := map[porcupine.CheckResult]string{
		porcupine.Ok: "held", porcupine.Illegal: "broken", porcupine.Unknown: "unknown",
	}
	word := words[porcupine.CheckOperationsTimeout(model, history, limit)]
	return word, fmt.Sprintf("%d operations", len(history))
}

func main() {
	limit := flag.Duration("limit", 5*time.Second, "time for one history; used up means unknown")
	flag.Parse()
	for _, path := range flag.Args() {
		word, why := judge(path, *limit)
		fmt.Printf("%s\t%s\t%s\n", word, path, why)
	}
}
