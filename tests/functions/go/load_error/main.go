// Fails while it is loaded.
package main

import "../library"

func init() { panic("while loading") }

func main() { library.Start(nil) }
