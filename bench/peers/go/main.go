// SPDX-License-Identifier: MIT

// Go: goroutines and channels, GOMAXPROCS = workers. The rows and their output as skua-bench
// --peers wants them.
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const absent = 77

type clock struct {
	wall time.Time
	cpu  float64
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) * 1e-9
}

func begin() clock { return clock{time.Now(), cpuSeconds()} }

func (c clock) since() float64 { return time.Since(c.wall).Seconds() }

// show prints the wall time of an operation in ns.
func (c clock) show(figure string, ops float64) { c.showValue(figure, ops, c.since()*1e9/ops) }

func (c clock) showValue(figure string, ops, value float64) {
	cpu := cpuSeconds() - c.cpu
	fmt.Printf("%s %.6g %.6g %.4g\n", figure, value, cpu*1e9/ops, cpu/c.since())
}

// memory is the resident pages and page tables of this process, in bytes.
func memory() float64 {
	sum := 0.0
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if len(w) > 1 && (w[0] == "VmRSS:" || w[0] == "VmPTE:") {
			kb, _ := strconv.ParseFloat(w[1], 64)
			sum += kb * 1024
		}
	}
	return sum
}

func fib(n int, spawns *int64) int {
	if n < 2 {
		return n
	}
	var a int
	var left, right int64
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		a = fib(n-1, &left)
		wg.Done()
	}()
	b := fib(n-2, &right)
	wg.Wait()
	*spawns = 1 + left + right
	return a + b
}

func fibTasks(seconds float64, _ int) int {
	c, spawns := begin(), 0.0
	for ok := true; ok; ok = c.since() < seconds {
		var n int64
		if fib(27, &n) != 196418 {
			return 1
		}
		spawns += float64(n)
	}
	c.show("fib_tasks", spawns)
	return 0
}

func spawnAwait(seconds float64, _ int) int {
	c, ops := begin(), 0.0
	done := make(chan struct{})
	for c.since() < seconds {
		for i := 0; i < 1000; i++ {
			go func() { done <- struct{}{} }()
			<-done
		}
		ops += 1000
	}
	c.show("spawn_await", ops)
	return 0
}

func manyPass(n int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go wg.Done()
	}
	wg.Wait()
}

func spawnMany(seconds float64, _ int) int {
	const many = 1000000
	c := begin()
	manyPass(many)
	c.show("spawn_many", many)
	c = begin()
	passes := 0
	for ; passes < 3 || c.since() < seconds; passes++ {
		manyPass(many)
	}
	c.show("spawn_many_later", many*float64(passes))
	return 0
}

func yieldFree(seconds float64, _ int) int {
	var wg sync.WaitGroup
	var total int64
	c := begin()
	for k := 0; k < 2; k++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for c.since() < seconds {
				for i := 0; i < 1000; i++ {
					runtime.Gosched()
				}
				atomic.AddInt64(&total, 1000)
			}
		}()
	}
	wg.Wait()
	c.show("yield_free", float64(total))
	return 0
}

// match hands a value to and fro over two channels; locked: each end on a thread of its own.
func match(seconds float64, locked bool) (clock, float64) {
	there, back := make(chan bool), make(chan bool)
	go func() {
		if locked {
			runtime.LockOSThread()
		}
		for <-there {
			back <- true
		}
	}()
	if locked {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	c, trips := begin(), 0.0
	for c.since() < seconds {
		for i := 0; i < 100; i++ {
			there <- true
			<-back
		}
		trips += 100
	}
	there <- false
	return c, trips
}

func wake(seconds float64, _ int) int {
	c, trips := match(seconds, false)
	c.show("wake", 2*trips)
	return 0
}

func queueCross(seconds float64, workers int) int {
	if workers < 2 {
		return absent
	}
	c, trips := match(seconds, true)
	c.show("queue_cross", trips)
	return 0
}

// queueFree hands a value to and fro over two channels with room for one.
func queueFree(seconds float64, _ int) int {
	there, back := make(chan bool, 1), make(chan bool, 1)
	go func() {
		for ball := true; ball; {
			ball = <-there
			back <- ball
		}
	}()
	c, trips := begin(), 0
	for ball := true; ball; trips++ {
		ball = trips%100 != 0 || c.since() < seconds
		there <- ball
		<-back
	}
	c.show("queue_free", float64(trips))
	return 0
}

// lockFree lets eight goroutines want one lock, whose holder lets the others come.
func lockFree(seconds float64, _ int) int {
	var lock sync.Mutex
	var wg sync.WaitGroup
	taken := 0
	c := begin()
	for k := 0; k < 8; k++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for turn := 1; turn%100 != 0 || c.since() < seconds; turn++ {
				lock.Lock()
				taken++
				runtime.Gosched()
				lock.Unlock()
			}
		}()
	}
	wg.Wait()
	c.show("lock_free", float64(taken))
	return 0
}

func branch(first, size int64, up chan int64) {
	if size == 1 {
		up <- first
		return
	}
	sums, sum := make(chan int64, 10), int64(0)
	for i := int64(0); i < 10; i++ {
		go branch(first+i*(size/10), size/10, sums)
	}
	for i := 0; i < 10; i++ {
		sum += <-sums
	}
	up <- sum
}

func skynet(seconds float64, _ int) int {
	const leaves = 1000000
	c, trees := begin(), 0.0
	for ok := true; ok; ok = c.since() < seconds {
		up := make(chan int64)
		go branch(0, leaves, up)
		if <-up != leaves*(leaves-1)/2 {
			return 1
		}
		trees++
	}
	c.showValue("skynet", trees*1111111, c.since()*1e3/trees)
	return 0
}

func crowd(figure string, count int, delay float64) int {
	var wg sync.WaitGroup
	before, c := memory(), begin()
	wg.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			time.Sleep(time.Duration(delay * 1e9))
			wg.Done()
		}()
	}
	time.Sleep(100 * time.Millisecond)
	during := memory()
	wg.Wait()
	c.showValue(figure, float64(count), c.since()-delay)
	c.showValue(figure+"_mem", float64(count), (during-before)/float64(count))
	return 0
}

func later(figure string, count int, delay float64) int {
	var wg sync.WaitGroup
	before, c := memory(), begin()
	wg.Add(count)
	for i := 0; i < count; i++ {
		time.AfterFunc(time.Duration(delay*1e9), wg.Done)
	}
	during := memory()
	wg.Wait()
	c.showValue(figure, float64(count), c.since()-delay)
	c.showValue(figure+"_mem", float64(count), (during-before)/float64(count))
	return 0
}

func timerChurn(seconds float64, _ int) int {
	const size = 100000
	pending := make([]*time.Timer, size)
	random := rand.New(rand.NewSource(1))
	arm := func() *time.Timer {
		delay := 100*time.Second + time.Duration(random.Int63n(100e9))
		return time.AfterFunc(delay, func() { panic("a timer fired too early") })
	}
	for i := range pending {
		pending[i] = arm()
	}
	c, ops := begin(), 0.0
	for c.since() < seconds {
		for i := 0; i < 1000; i++ {
			at := random.Intn(size)
			if !pending[at].Stop() {
				return 1
			}
			pending[at] = arm()
		}
		ops += 1000
	}
	c.show("timer_churn", ops)
	return 0
}

func serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err == nil {
			_, err = conn.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func echo(_ float64, _ int) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Printf("listening on %v\n", listener.Addr())
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	<-stop
	return 0
}

var rows = []struct {
	name string
	run  func(seconds float64, workers int) int
}{
	{"fib_tasks", fibTasks}, {"spawn_await", spawnAwait}, {"spawn_many", spawnMany},
	{"yield_free", yieldFree}, {"wake", wake}, {"queue_cross", queueCross}, {"skynet", skynet},
	{"timer_churn", timerChurn}, {"echo", echo}, {"queue_free", queueFree}, {"lock_free", lockFree},
	{"sleep_100k", func(float64, int) int { return crowd("sleep_100k", 100000, 2) }},
	{"sleep_1m", func(float64, int) int { return crowd("sleep_1m", 1000000, 4) }},
	{"later_100k", func(float64, int) int { return later("later_100k", 100000, 2) }},
	{"later_1m", func(float64, int) int { return later("later_1m", 1000000, 4) }},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	for _, r := range rows {
		if len(os.Args) == 4 && os.Args[1] == r.name {
			seconds, _ := strconv.ParseFloat(os.Args[2], 64)
			workers, _ := strconv.Atoi(os.Args[3])
			runtime.GOMAXPROCS(workers)
			os.Exit(r.run(seconds, workers))
		}
	}
	fmt.Fprintf(os.Stderr, "usage: %s --list | ROW SECONDS WORKERS\n", os.Args[0])
	os.Exit(2)
}
