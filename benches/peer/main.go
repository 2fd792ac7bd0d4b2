// Peer times Flux's updater over the input that butler's own bench generates: pkg/update of its
// image-automation-controller, in v0.26.0, where other modules could still import it; and Masterminds/semver and Go's
// regexp, as Flux's policies use them to choose a tag. Beside each time stands how much longer it is than butler's,
// which reads a mirror and not a checkout, and finds policies by itself. See docs/performance.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/fluxcd/image-automation-controller/pkg/update"
	reflector "github.com/fluxcd/image-reflector-controller/api/v1beta1"
	"github.com/go-logr/logr"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: peer DIR...   (folders that `cargo bench -- --write` made)")
		os.Exit(2)
	}
	fmt.Println("| repository | files changed | time | ÷ butler | peak memory |\n|---|--:|--:|--:|--:|")
	for _, dir := range os.Args[1:] {
		if err := repository(dir); err != nil {
			fmt.Fprintln(os.Stderr, dir, err)
			os.Exit(1)
		}
	}
	fmt.Println("\n| choosing from 100000 tags | time | ÷ butler | chosen |\n|---|--:|--:|---|")
	tags(butler(os.Args[1]))
}

// repository has Flux's updater set every marked value, and write the changed files into another folder.
func repository(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "newest.json"))
	if err != nil {
		return err
	}
	newest := map[string]string{}
	if err := json.Unmarshal(text, &newest); err != nil {
		return err
	}
	var policies []reflector.ImagePolicy
	for name, image := range newest {
		policy := reflector.ImagePolicy{}
		policy.Namespace, policy.Name, policy.Status.LatestImage = "flux-system", name, image
		policies = append(policies, policy)
	}
	out, err := os.MkdirTemp("", "peer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	start := time.Now()
	result, err := update.UpdateWithSetters(logr.Discard(), filepath.Join(dir, "checkout"), out, policies)
	if err != nil {
		return err
	}
	took := ms(start)
	fmt.Printf("| %s | %d | %.1f ms | %.1f | %s |\n", filepath.Base(dir), len(result.Files), took, took/butler(dir)["repository"], peak())
	return nil
}

// butler is what butler's own bench took in that folder, in milliseconds.
func butler(dir string) map[string]float64 {
	times := map[string]float64{}
	text, err := os.ReadFile(filepath.Join(dir, "butler.json"))
	if err == nil {
		err = json.Unmarshal(text, &times)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "without butler's times:", err)
	}
	return times
}

const count = 100_000

func tags(butler map[string]float64) {
	versions, builds := make([]string, count), make([]string, count)
	for n := range count {
		versions[n] = fmt.Sprintf("%d.%d.%d", 1+n/60, n/10%6, n%10)
		builds[n] = fmt.Sprintf("main-%07x-%d", (7919+n*104729)&0x0fffffff, 1700000000+n*1200)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(versions)))
	sort.Sort(sort.Reverse(sort.StringSlice(builds)))

	start := time.Now()
	constraint, _ := semver.NewConstraint(">=1.0.0")
	var best *semver.Version
	for _, tag := range versions {
		version, err := semver.NewVersion(tag)
		if err == nil && constraint.Check(version) && (best == nil || best.LessThan(version)) {
			best = version
		}
	}
	took := ms(start)
	fmt.Printf("| semver | %.2f ms | %.1f | %s |\n", took, took/butler["semver"], best.Original())

	start = time.Now()
	pattern := regexp.MustCompile(`^main-[a-f0-9]+-(?P<ts>[0-9]+)$`)
	chosen, highest := "", -1.0
	for _, tag := range builds {
		found := pattern.FindStringSubmatchIndex(tag)
		if len(found) == 0 {
			continue
		}
		number, err := strconv.ParseFloat(string(pattern.ExpandString(nil, "$ts", tag, found)), 64)
		if err == nil && number >= highest {
			chosen, highest = tag, number
		}
	}
	took = ms(start)
	fmt.Printf("| regex + numerical | %.2f ms | %.1f | %s |\n", took, took/butler["regex + numerical"], chosen)
}

func ms(start time.Time) float64 {
	return float64(time.Since(start).Microseconds()) / 1000
}

// peak is the most memory that was resident, on Linux; it grows from one repository to the next.
func peak() string {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return fmt.Sprintf("%d MiB", kib/1024)
		}
	}
	return "-"
}
