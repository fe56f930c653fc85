// Does what the event asks for, as the function `table` of every language does: see tests/it/languages.rs.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"../library"
)

type event struct {
	Do   string          `json:"do"`
	What json.RawMessage `json:"what"`
}

func (e event) text() (text string) {
	json.Unmarshal(e.What, &text)
	return text
}

func (e event) number() (number int) {
	json.Unmarshal(e.What, &number)
	return number
}

type object = map[string]interface{}
type list = []interface{}

var values = object{
	"null":          nil,
	"true":          true,
	"false":         false,
	"largest-exact": int64(1)<<53 - 1,
	"beyond-exact":  int64(1)<<53 + 1,
	"fraction":      0.1,
	"negative":      -17,
	"text":          "grüße, 世界 🌍",
	"controls":      "a\"b\\c\n\t\u0001",
	"empty-text":    "",
	"empty-list":    list{},
	"empty-object":  object{},
	"nested":        object{"a": list{1, object{"b": list{list{}, object{}}}, nil}, "ключ": object{"": 0}},
}

type rangeError struct{ text string }

func (e *rangeError) Error() string { return e.text }

// A little of everything a run can take: timers, files, memory, child processes.
func strain() (interface{}, error) {
	fired := time.After(time.Millisecond)
	if err := os.WriteFile("/tmp/file", bytes.Repeat(make([]byte, 1<<16), 64), 0o600); err != nil {
		return nil, err
	}
	said := list{}
	for range "12" {
		out, err := exec.Command("sh", "-c", "cat /tmp/file | wc -c").Output()
		if err != nil {
			return nil, err
		}
		said = append(said, json.RawMessage(strings.TrimSpace(string(out))))
	}
	exec.Command("sleep", "600").Start()
	<-fired
	return said, nil
}

func handle(ctx context.Context, event event) (interface{}, error) {
	switch event.Do {
	case "return":
		return values[event.text()], nil
	case "echo":
		return event.What, nil
	case "unserialisable":
		return make(chan int), nil
	case "large":
		return strings.Repeat("x", 6<<20), nil
	case "raise":
		return nil, &rangeError{"grüße, 世界 🌍"}
	case "panic":
		panic("not like this")
	case "panic-elsewhere":
		go func() { panic("elsewhere") }()
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(event.number())
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "sleep":
		time.Sleep(10 * time.Minute)
	case "memory":
		held := bytes.Repeat([]byte("x"), 100<<20)
		time.Sleep(10 * time.Minute)
		return len(held), nil
	case "print":
		fmt.Println("to stdout: grüße, 世界 🌍")
		fmt.Fprintln(os.Stderr, "to stderr")
		fmt.Print("no line end")
		return nil, nil
	case "flood":
		for number := 0; number < event.number(); number++ {
			fmt.Println("line", number)
		}
		return event.number(), nil
	case "child":
		return "started", exec.Command("sleep", event.text()).Start()
	case "strain":
		return strain()
	case "listen":
		// Ports of its own are the program's affair.
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		return listener.Addr().Network(), nil
	case "context":
		of := library.Of(ctx)
		deadline, _ := ctx.Deadline()
		return object{
			"memory_limit_in_mb":  of.MemoryLimitInMb,
			"time_limit_in_ms":    of.TimeLimitInMs,
			"request_id":          of.RequestId,
			"environment":         of.Environment,
			"function_version":    of.FunctionVersion,
			"function_name":       of.FunctionName,
			"namespace":           of.Namespace,
			"tencentcloud_region": of.TencentcloudRegion,
			"tencentcloud_appid":  of.TencentcloudAppID,
			"tencentcloud_uin":    of.TencentcloudUin,
			"left":                time.Until(deadline) / time.Millisecond,
		}, nil
	case "environment":
		environment := object{}
		for _, pair := range os.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			environment[name] = value
		}
		return environment, nil
	}
	return nil, &rangeError{"no such thing to do"}
}

func main() { library.Start(handle) }
