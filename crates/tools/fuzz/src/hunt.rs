//! A target is fed until its time is over, or something is wrong.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::mutation::mutate;
use crate::targets::Target;
use crate::{corpus, jail};

/// The timeout of one input. Some calls rightly wait for a second.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many inputs are remembered, beside the target's own.
const MEMORY: usize = 4000;

/// What is to be done.
pub(crate) struct Hunt {
    pub(crate) target: Target,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
}

/// What was wrong, and with which input.
struct Catch {
    input: Vec<u8>,
    problem: String,
}

/// What came of it.
struct Bag {
    runs: u64,
    /// How many answers there were that differ in more than values.
    kinds: usize,
    catch: Option<Catch>,
}

impl Hunt {
    /// True if nothing wrong was found.
    pub(crate) fn run(&self) -> Result<bool> {
        let (words, corpus) = (corpus::words()?, corpus::read(self.target)?);
        let (target, time, seed) = (self.target, self.time, self.seed);
        let start = Instant::now();
        let bag = watched(target, move |current| {
            feed(target, time, seed, &words, corpus, current)
        })?;
        let (name, runs, kinds) = (target.name(), bag.runs, bag.kinds);
        let rate = (runs as f64 / start.elapsed().as_secs_f64()).round();
        println!("{name:<16} {runs:>8} inputs {rate:>6}/s {kinds:>5} kinds of answers");
        report(target, bag.catch)
    }
}

/// Feeds one input; true if nothing is wrong with it.
pub(crate) fn replay(target: Target, input: Vec<u8>) -> Result<bool> {
    let bag = watched(target, move |current| {
        current.set(&input);
        let (kinds, catch) = match once(target, &input) {
            Ok(_) => (1, None),
            Err(problem) => (0, Some(Catch { input, problem })),
        };
        Bag {
            runs: 1,
            kinds,
            catch,
        }
    })?;
    if bag.catch.is_none() {
        println!("nothing is wrong");
    }
    report(target, bag.catch)
}

/// The input that is being fed, in memory for the one who watches, and in a file for when the
/// process dies.
#[derive(Clone)]
struct Current {
    fed: Arc<Mutex<(Instant, Vec<u8>)>>,
    file: Arc<File>,
}

impl Current {
    fn set(&self, input: &[u8]) {
        *self.fed.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), input.to_vec());
        // Only a help: without it, seed and target lead there too.
        let _ = self.file.set_len(0);
        let _ = self.file.write_all_at(input, 0);
    }

    fn get(&self) -> (Duration, Vec<u8>) {
        let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        (fed.0.elapsed(), fed.1.clone())
    }
}

/// Does the work in the jail, and looks from outside whether it hangs.
fn watched(target: Target, work: impl FnOnce(&Current) -> Bag + Send + 'static) -> Result<Bag> {
    let dir = catches()?;
    let file = dir.join(format!("{}.running", target.name()));
    let cannot = || format!("cannot write {}", file.display());
    let current = Current {
        fed: Arc::new(Mutex::new((Instant::now(), Vec::new()))),
        file: Arc::new(File::create(&file).with_context(cannot)?),
    };
    let (sender, receiver) = channel();
    let inside = current.clone();
    // Not waited for if it hangs: it ends with the process.
    thread::spawn(move || in_jail(&sender, move || work(&inside)));
    let bag = loop {
        match receiver.recv_timeout(Duration::from_millis(500)) {
            Ok(bag) => break bag?,
            Err(RecvTimeoutError::Timeout) => {
                let (time, input) = current.get();
                if time > TIMEOUT {
                    let problem = format!("still not answered after {TIMEOUT:?}");
                    break Bag {
                        runs: 0,
                        kinds: 0,
                        catch: Some(Catch { input, problem }),
                    };
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the fuzzer itself panicked, with {}", file.display())
            }
        }
    };
    fs::remove_file(&file).with_context(cannot)?;
    Ok(bag)
}

fn in_jail(sender: &Sender<Result<Bag>>, work: impl FnOnce() -> Bag + Send) {
    // If nobody listens any more, it has taken too long.
    let _ = sender.send(jail::inside(work));
}

fn feed(
    target: Target,
    time: Duration,
    seed: u64,
    words: &[Vec<u8>],
    mut inputs: Vec<Vec<u8>>,
    current: &Current,
) -> Bag {
    let until = Instant::now() + time;
    let mut random = Rng::with_seed(seed);
    let mut kinds = HashSet::new();
    let own = inputs.len();
    let mut runs = 0;
    let catch = loop {
        // Its own inputs first, as they are.
        let known = usize::try_from(runs).ok().filter(|run| *run < own);
        let input = match known.and_then(|run| inputs.get(run)) {
            Some(input) => input.clone(),
            None if Instant::now() >= until => break None,
            None => {
                let start = random.choice(&inputs).cloned().unwrap_or_default();
                mutate(&start, words, &inputs, &mut random)
            }
        };
        current.set(&input);
        runs += 1;
        match once(target, &input) {
            Ok(kind) => {
                let is_new = kinds.insert(kind);
                if is_new && known.is_none() && inputs.len() < own + MEMORY {
                    inputs.push(input);
                }
            }
            Err(problem) => break Some(Catch { input, problem }),
        }
    };
    Bag {
        runs,
        kinds: kinds.len(),
        catch,
    }
}

/// Feeds one input: the kind of the answers, or what is wrong with them.
fn once(target: Target, input: &[u8]) -> Result<String, String> {
    static SAID: Mutex<String> = Mutex::new(String::new());
    // The usual one prints, and knows no inputs.
    set_hook(Box::new(|panic| {
        *SAID.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    catch_unwind(AssertUnwindSafe(|| target.feed(input)))
        .unwrap_or_else(|_| Err(SAID.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}

/// Keeps what was caught and prints how to see it again; true if nothing was.
fn report(target: Target, catch: Option<Catch>) -> Result<bool> {
    let Some(Catch { input, problem }) = catch else {
        return Ok(true);
    };
    let name = target.name();
    let file = catches()?.join(format!("{name}.caught"));
    fs::write(&file, &input).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{name}: {problem}");
    println!("  input: \"{}\"", input.escape_ascii());
    let file = file.display();
    println!("  again: cargo run -p fuzz -- {name} --input {file}");
    Ok(false)
}

/// The directory `fuzz` beside the build's own.
fn catches() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the target directory")?;
    let target = own
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").exists());
    let dir = target
        .context("cannot find the target directory")?
        .join("fuzz");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
