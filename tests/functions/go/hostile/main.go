// Listens where the platform's library would, and does not speak as it does: HOW says how.
package main

import (
	"bytes"
	"net"
	"os"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", ":"+os.Getenv("_LAMBDA_SERVER_PORT"))
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		switch os.Getenv("HOW") {
		case "garbage":
			connection.Write(bytes.Repeat([]byte("\x05HTTP/1.1 400\r\n"), 100000))
		case "endless":
			for err == nil {
				_, err = connection.Write(make([]byte, 1<<16))
			}
		case "huge":
			connection.Write([]byte{0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		case "closed":
			connection.Close()
		case "silent":
		}
		time.Sleep(time.Minute)
	}
}
