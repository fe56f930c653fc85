// Package library serves a handler by net/rpc, as the platform's own library does on the wire.
package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/rpc"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"
)

type PingRequest struct{}
type PingResponse struct{}

type Timestamp struct{ Seconds, Nanos int64 }

// InvokeRequest is what the platform sends; fields are matched by their names.
type InvokeRequest struct {
	Payload               []byte
	RequestId             string
	TraceId               string
	Deadline              Timestamp
	InvokedFunctionUnique string
	ClientContext         []byte
	Namespace             string
	FunctionName          string
	FunctionVersion       string
	MemoryLimitInMb       int32
	TimeLimitInMs         int32
	Environment           string
	TencentcloudRegion    string
	TencentcloudAppID     string
	TencentcloudUin       string
	FunctionTrace         string
}

type Frame struct {
	Path  string
	Line  int32
	Label string
}

type InvokeError struct {
	Message    string
	Type       string
	StackTrace []*Frame
	ShouldExit bool
}

type InvokeResponse struct {
	Payload []byte
	Error   *InvokeError
}

type key struct{}

// Of gives the request a handler runs for.
func Of(ctx context.Context) *InvokeRequest { return ctx.Value(key{}).(*InvokeRequest) }

// Function is the service; its name is part of the protocol.
type Function struct{ handler interface{} }

func (f *Function) Ping(*PingRequest, *PingResponse) error { return nil }

func (f *Function) Invoke(request *InvokeRequest, response *InvokeResponse) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			response.Error = &InvokeError{fmt.Sprint(caught), nameOf(caught), frames(), true}
		}
	}()
	var environment map[string]string
	if request.Environment != "" {
		if err := json.Unmarshal([]byte(request.Environment), &environment); err != nil {
			response.Error = failure(err)
			return nil
		}
	}
	for name, value := range environment {
		os.Setenv(name, value)
	}
	deadline := time.Unix(request.Deadline.Seconds, request.Deadline.Nanos)
	ctx, cancel := context.WithDeadline(context.WithValue(context.Background(), key{}, request), deadline)
	defer cancel()
	value, err := call(f.handler, ctx, request.Payload)
	if err == nil {
		response.Payload, err = json.Marshal(value)
	}
	if err != nil {
		response.Error = failure(err)
	}
	return nil
}

func failure(err error) *InvokeError { return &InvokeError{Message: err.Error(), Type: nameOf(err)} }

func nameOf(value interface{}) string {
	kind := reflect.TypeOf(value)
	if kind.Kind() == reflect.Ptr {
		kind = kind.Elem()
	}
	return kind.Name()
}

func frames() (found []*Frame) {
	var counters [32]uintptr
	list := runtime.CallersFrames(counters[:runtime.Callers(4, counters[:])])
	for {
		frame, more := list.Next()
		label := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
		found = append(found, &Frame{frame.File[strings.LastIndexByte(frame.File, '/')+1:], int32(frame.Line), label})
		if !more {
			return found
		}
	}
}

// call calls func([context,] [in]) ([out,] error).
func call(handler interface{}, ctx context.Context, payload []byte) (interface{}, error) {
	function := reflect.ValueOf(handler)
	if !function.IsValid() {
		return nil, errors.New("handler is nil")
	}
	kind := function.Type()
	if kind.Kind() != reflect.Func {
		return nil, fmt.Errorf("handler kind %s is not func", kind.Kind())
	}
	var given []reflect.Value
	if kind.NumIn() > 0 && kind.In(0) == reflect.TypeOf((*context.Context)(nil)).Elem() {
		given = append(given, reflect.ValueOf(ctx))
	}
	if kind.NumIn() > len(given) {
		in := reflect.New(kind.In(len(given)))
		if err := json.Unmarshal(payload, in.Interface()); err != nil {
			return nil, err
		}
		given = append(given, in.Elem())
	}
	results := function.Call(given)
	if len(results) == 0 {
		return nil, nil
	}
	err, _ := results[len(results)-1].Interface().(error)
	if len(results) == 1 {
		return nil, err
	}
	return results[0].Interface(), err
}

// Start serves the handler; it does not return.
func Start(handler interface{}) {
	listener, err := net.Listen("tcp", "0.0.0.0:"+os.Getenv("_LAMBDA_SERVER_PORT"))
	if err != nil {
		log.Fatal(err)
	}
	if err := rpc.Register(&Function{handler}); err != nil {
		log.Fatal(err)
	}
	rpc.Accept(listener)
}
