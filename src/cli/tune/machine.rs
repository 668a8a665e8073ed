//! What of the tuning files depends on the machine: its cores, cards and interrupts.

use std::fs;
use std::path::Path;

/// Cores, cards and interrupts, as `/sys` tells them.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Numbers of the cores that are on.
    cpus: Vec<usize>,
    /// Cores whose clock can be chosen.
    clocked: Vec<String>,
    /// Interface and receive queue, of cards with fewer queues than cores.
    queues: Vec<(String, String)>,
    /// Interrupt and core, of cards with a queue for each core.
    interrupts: Vec<(usize, usize)>,
}

impl Machine {
    /// Reads `/sys` below `root`.
    pub fn look(root: &Path) -> Self {
        let system = root.join("sys/devices/system/cpu");
        let online = fs::read_to_string(system.join("online")).unwrap_or_default();
        let cpus = cpu_list(online.trim());
        let clocked = names(&system, "cpu").into_iter();
        let clocked = clocked.filter(|cpu| system.join(cpu).join("cpufreq/scaling_governor").exists());
        let mut machine = Self { clocked: clocked.collect(), cpus, ..Self::default() };
        let cards = root.join("sys/class/net");
        for card in names(&cards, "") {
            // What has no device is made of software.
            if cards.join(&card).join("device").exists() {
                machine.add_card(&cards.join(&card), &card);
            }
        }
        machine
    }

    fn add_card(&mut self, folder: &Path, card: &str) {
        let queues = names(&folder.join("queues"), "rx-");
        if queues.len() < self.cpus.len() {
            self.queues.extend(queues.into_iter().map(|queue| (card.to_owned(), queue)));
            return;
        }
        // Cards of virtual machines have them one level up.
        let places = ["device/msi_irqs", "device/../msi_irqs"].map(|place| folder.join(place));
        let numbers = places.iter().map(|place| names(place, "")).find(|numbers| !numbers.is_empty());
        let mut numbers: Vec<usize> =
            numbers.unwrap_or_default().iter().filter_map(|number| number.parse().ok()).collect();
        numbers.sort_unstable();
        let cpus = self.cpus.iter().cycle();
        self.interrupts.extend(numbers.into_iter().zip(cpus.copied()));
    }

    /// All cores as a hexadecimal mask, in groups of 32 as the kernel writes it.
    fn mask(&self) -> String {
        let groups = self.cpus.iter().max().map_or(1, |last| last / 32 + 1);
        let group = |number: usize| {
            let bits = self.cpus.iter().filter(|cpu| *cpu / 32 == number);
            bits.fold(0_u32, |mask, cpu| mask | 1 << (cpu % 32))
        };
        let mut words = (0..groups).rev().map(group);
        let first = words.next().unwrap_or(0);
        words.fold(format!("{first:x}"), |text, word| format!("{text},{word:08x}"))
    }

    /// A file with the braces filled in: a line for each core, queue or interrupt.
    pub fn fill_in(&self, text: &str) -> String {
        let mut out = String::new();
        for line in text.lines() {
            let lines: Vec<String> = if line.starts_with('#') || !line.contains('{') {
                vec![line.to_owned()]
            } else if line.contains("{cpu}") {
                self.clocked.iter().map(|cpu| line.replace("{cpu}", cpu)).collect()
            } else if line.contains("{queue}") {
                let mask = self.mask();
                let fill = |(card, queue): &(String, String)| {
                    line.replace("{interface}", card).replace("{queue}", queue).replace("{mask}", &mask)
                };
                self.queues.iter().map(fill).collect()
            } else {
                let fill = |(irq, cpu): &(usize, usize)| {
                    line.replace("{irq}", &irq.to_string()).replace("{irq_cpu}", &cpu.to_string())
                };
                self.interrupts.iter().map(fill).collect()
            };
            let lines = if lines.is_empty() { vec!["# (this machine has none)".to_owned()] } else { lines };
            lines.iter().for_each(|line| out.extend([line, "\n"]));
        }
        out
    }
}

/// `0-2,5`.
pub(super) fn cpu_list(text: &str) -> Vec<usize> {
    let ranges = text.split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    });
    ranges.flatten().collect()
}

fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}
