// Package client is what the clients in Go share: lines of records (../../records.py says what is
// in one), and the choice of the action.
package client

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Header is one header of a record; its Value may be nil.
type Header struct {
	Name  string
	Value []byte
}

// Record is one record to be sent.
type Record struct {
	Partition  int32
	Time       time.Time
	Key, Value []byte
	Headers    []Header
}

// Actions by name; each gets the arguments behind it.
type Actions map[string]func(address string, arguments []string) error

// ErrRefused is wrapped by what a library can't do: its text is the reason.
var ErrRefused = errors.New("the library has nothing for it")

var output = bufio.NewWriterSize(os.Stdout, 1<<20)

// Run does `PROGRAM ADDRESS ACTION [ARGUMENT]...`, and ends the process: with 3 and a reason where
// the library can't do it.
func Run(module string, actions Actions) {
	actions["version"] = func(string, []string) error {
		Print(versionOf(module))
		return nil
	}
	action, known := actions[os.Args[2]]
	err := ErrRefused
	if known {
		err = action(os.Args[1], os.Args[3:])
	}
	if err == nil {
		err = output.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, ErrRefused) {
			os.Exit(3)
		}
		os.Exit(1)
	}
}

// Print writes one line of words.
func Print(words ...any) {
	fmt.Fprintln(output, words...)
}

// PrintPartition writes one line of `describe`.
func PrintPartition(partition, leader int32, replicas, isr []int32) {
	Print(partition, leader, ids(replicas), ids(isr))
}

// PrintRecord writes down what was read.
func PrintRecord(topic string, offset int64, record Record) {
	pairs := make([]string, 0, len(record.Headers))
	for _, header := range record.Headers {
		pairs = append(pairs, textOf([]byte(header.Name), false)+":"+textOf(header.Value, true))
	}
	headers := strings.Join(pairs, ",")
	if headers == "" {
		headers = "-"
	}
	Print(topic, record.Partition, offset, record.Time.UnixMilli(), textOf(record.Key, true),
		textOf(record.Value, true), headers)
}

// Records reads those to be sent from stdin.
func Records() ([]Record, error) {
	var records []Record
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		record, err := parse(strings.Fields(lines.Text()))
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, lines.Err()
}

// Number is for arguments that the driver gave: they are numbers.
func Number(text string) int32 {
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		panic(err)
	}
	return int32(number)
}

func parse(fields []string) (record Record, err error) {
	if len(fields) != 5 {
		return record, fmt.Errorf("a record has 5 fields, not %d", len(fields))
	}
	milliseconds, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return record, err
	}
	record.Partition = Number(fields[0])
	record.Time = time.UnixMilli(milliseconds)
	if record.Key, err = bytesOf(fields[2]); err != nil {
		return record, err
	}
	if record.Value, err = bytesOf(fields[3]); err != nil || fields[4] == "-" {
		return record, err
	}
	for _, pair := range strings.Split(fields[4], ",") {
		name, value, _ := strings.Cut(pair, ":")
		var header Header
		nameBytes, err := bytesOf(name)
		if err != nil {
			return record, err
		}
		header.Name = string(nameBytes)
		if header.Value, err = bytesOf(value); err != nil {
			return record, err
		}
		record.Headers = append(record.Headers, header)
	}
	return record, nil
}

func bytesOf(text string) ([]byte, error) {
	switch text {
	case "-":
		return nil, nil
	case ".":
		return []byte{}, nil
	}
	return hex.DecodeString(text)
}

func textOf(data []byte, nullable bool) string {
	if data == nil && nullable {
		return "-"
	}
	if len(data) == 0 {
		return "."
	}
	return hex.EncodeToString(data)
}

func ids(nodes []int32) string {
	texts := make([]string, 0, len(nodes))
	for _, node := range nodes {
		texts = append(texts, strconv.Itoa(int(node)))
	}
	return strings.Join(texts, ",")
}

func versionOf(module string) string {
	build, _ := debug.ReadBuildInfo()
	for _, dependency := range build.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	return "?"
}
