<?php
/*
 * The platform's side of a PHP function, for PHP 7.4 and newer.
 *
 * Started by the launcher as `php … bootstrap CONFIG`, where CONFIG is JSON (see instance/launch.rs). It loads the
 * user's file once, in the global scope as a script of its own would be. As a *zygote* it then forks an Instance for
 * every order on its control socket; as a *single* it is the one Instance itself. Forking, walls and frames are C:
 * glue.c beside this file, reached by FFI.
 *
 * What must stay true: the parent never runs user code after loading, and nothing of ours is a global function or
 * variable that the user's code could meet.
 */

namespace Fnlite;

final class Bootstrap
{
    const DESCRIPTORS_MAX = 1024; // contract 2.6
    const TRACE_BYTES_MAX = 16000; // a report from the zygote must fit one datagram, escapes included
    const DEPTH_MAX = 10000;
    const DUMMY_EVENT = '{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"é"}]}';
    const DUMMY_ID = '00000000-0000-0000-0000-000000000000';
    const ENCODING = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    const WALLS = 'int cell, int fresh_proc, int groups, int landlock_abi,
        const char *tmp_options, const char *landlock_rules, const char *tmp';
    const SHIM = '
        void fnlite_php_setup(int forks);
        void fnlite_php_loaded(void);
        long fnlite_php_serve(' . self::WALLS . ');
        long fnlite_php_restrict(' . self::WALLS . ');
        long fnlite_php_isolate(' . self::WALLS . ');
        void fnlite_php_lengths(unsigned int *lengths);
        int fnlite_php_is_awaited(void);
        void fnlite_php_receive(char *into, unsigned long length);
        void fnlite_php_notice(int notice);
        void fnlite_php_answer(int kind, const char *payload, unsigned long length);
        void fnlite_php_clean(void);
        void fnlite_php_report(const char *report, unsigned long length);
        void fnlite_php_leave(int status);
        void fnlite_php_silence(void);
        int fnlite_php_look(int fd, unsigned long *what);
        int fnlite_php_has_timer(void);
        int fnlite_php_has_children(void);
        int fnlite_php_fork(void);
        int fnlite_php_wait(int pid);
    ';

    /* A fork copies a process's own state and shares the rest; devices have no state. */
    const KINDS = [
        0140000 => 'a socket',
        0010000 => 'a pipe',
        0100000 => 'a file',
        0040000 => 'a folder',
        0 => 'an event descriptor',
    ];

    /* Endings of a script that nobody can catch. */
    const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    private static $config;
    private static $shim;
    /** @var \FFI\CData where the lengths of an event are put */
    private static $lengths;
    private static $walls;
    private static $file;
    /** Kind and text of the answer to any event, where the code cannot be loaded. */
    private static $failure = null;
    private static $descriptors;
    private static $began;
    private static $loading = true;
    /** Whether an event has come that is not answered. */
    private static $running = false;
    /** Whoever is forked from this process by the code answers for nobody. */
    private static $pid;
    /** Let go when memory is short. */
    private static $reserve;

    // --------------------------------------------------------------------------------------------------------- loading

    /** All that comes before the user's file. */
    public static function begin()
    {
        self::$config = $config = json_decode($_SERVER['argv'][1]);
        self::$file = $config->code . '/' . $config->handler_file . '.php';
        // What would never fit is refused by PHP, which can say where; what grows beyond it is the platform's to end.
        ini_set('memory_limit', $config->context->memory_limit_in_mb . 'M');
        $_SERVER['argv'] = $GLOBALS['argv'] = [''];
        $_SERVER['argc'] = $GLOBALS['argc'] = 1;
        foreach (['PHP_SELF', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_TRANSLATED'] as $name) {
            $_SERVER[$name] = self::$file;
        }
        self::$shim = \FFI::cdef(self::SHIM, $config->shim);
        self::$lengths = self::$shim->new('unsigned int[2]');
        self::$reserve = str_repeat("\0", 65536);
        $walls = $config->isolation;
        self::$walls = [(int) $walls->cell, (int) $walls->fresh_proc,
            (int) $walls->groups, (int) $walls->landlock_abi, $walls->tmp_options, $walls->landlock_rules, $walls->tmp];
        self::$shim->fnlite_php_setup((int) !$config->single);
        if ($config->single) {
            self::walled(self::$shim->fnlite_php_isolate(...self::$walls));
        } else {
            self::$descriptors = self::shared_by_fork();
            if (!$walls->cell) { // no mounts will follow, so loading is held as well
                self::walled(self::$shim->fnlite_php_restrict(...self::$walls));
            }
        }
        self::$began = microtime(true);
        self::$pid = getmypid();
        register_shutdown_function([self::class, 'ended']);
    }

    /** The file to load; null where there is none. */
    public static function file()
    {
        if (is_file(self::$file)) {
            return self::$file;
        }
        self::$failure = ['H', 'No such file: ' . self::$config->handler_file . '.php'];
        return null;
    }

    public static function threw($error)
    {
        self::$failure = ['E', self::trace($error)];
    }

    /** All that comes after the user's file; never returns. */
    public static function go()
    {
        $name = self::$config->handler_function;
        if (!self::$failure && !function_exists($name)) {
            self::$failure = ['H', "{$name} is not a function of " . self::$config->handler_file . '.php'];
        }
        self::flush();
        self::loaded();
        self::run();
    }

    private static function loaded()
    {
        self::$loading = false;
        self::$shim->fnlite_php_loaded();
        if (self::$config->single) {
            self::$shim->fnlite_php_notice(ord('K'));
        } else {
            self::be_zygote();
        }
    }

    // ---------------------------------------------------------------------------------------------------------- errors

    /** The error as PHP prints one that nobody caught, without our frames, paths as the platform shows them. */
    private static function trace($error)
    {
        if ($error instanceof \ParseError || $error instanceof \CompileError) {
            $where = ' in ' . $error->getFile() . ' on line ' . $error->getLine();
            return self::tidy('PHP Parse error:  ' . $error->getMessage() . $where);
        }
        $last = ' in ' . $error->getFile() . ' on line ' . $error->getLine();
        $texts = [];
        for (; $error; $error = $error->getPrevious()) {
            $message = $error->getMessage();
            $head = get_class($error) . ($message === '' ? '' : ": {$message}");
            array_unshift($texts, $head . ' in ' . $error->getFile() . ':' . $error->getLine() . "\nStack trace:\n"
                . self::frames($error));
        }
        return self::tidy('PHP Fatal error:  Uncaught ' . implode("\n\nNext ", $texts) . "\n  thrown" . $last);
    }

    /** The stack down to where we called; that call came from nowhere the user could look. */
    private static function frames($error)
    {
        $kept = [];
        $own = __FILE__ . '(';
        foreach (explode("\n", $error->getTraceAsString()) as $line) {
            list($number, $rest) = explode(' ', $line, 2) + ['', ''];
            if (strncmp($rest, $own, strlen($own)) === 0) {
                $call = substr($rest, strpos($rest, '): ', strlen($own)) + 3);
                if (strncmp($call, 'require', 7) !== 0 && strncmp($call, __NAMESPACE__, strlen(__NAMESPACE__)) !== 0) {
                    $kept[] = "{$number} [internal function]: {$call}";
                }
                break;
            }
            if ($rest === '{main}') {
                break;
            }
            $kept[] = $line;
        }
        $kept[] = '#' . count($kept) . ' {main}';
        return implode("\n", $kept);
    }

    private static function tidy($text)
    {
        $text = self::cut(str_replace(self::$config->code . '/', '/var/user/', $text));
        // What is no UTF-8 is marked, not lost.
        return preg_match('//u', $text) ? $text : json_decode(json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE));
    }

    private static function cut($text)
    {
        $half = self::TRACE_BYTES_MAX >> 1;
        return strlen($text) <= 2 * $half ? $text : substr($text, 0, $half) . "\n...\n" . substr($text, -$half);
    }

    /** PHP is about to end: the code called exit(), which its status tells, or there was an error that ends scripts. */
    public static function ended()
    {
        self::$reserve = null;
        // Behind what the code has registered for this moment, which may still print.
        register_shutdown_function(function () {
            $error = error_get_last();
            if ($error === null || !($error['type'] & self::FATAL) || getmypid() !== self::$pid) {
                return;
            }
            self::flush();
            $kind = preg_match('/^(Allowed memory size of|Out of memory)/', $error['message']) ? 'M' : 'E';
            $text = "PHP Fatal error:  {$error['message']}";
            if (strncmp($error['message'], 'Uncaught ', 9) !== 0) {
                $text .= " in {$error['file']} on line {$error['line']}";
            }
            self::$failure = [$kind, self::tidy($text)];
            if (self::$loading) {
                self::loaded();
                self::receive();
                self::$running = true;
            }
            if (self::$running) {
                self::answer(...self::$failure);
                self::receive(); // which there is not: what this process is left as is fit for no event
                self::$shim->fnlite_php_leave(0);
            }
        });
    }

    // ---------------------------------------------------------------------------------------------- is it safe to fork

    /** Open descriptors whose state a fork shares: number to kind and identity. */
    private static function shared_by_fork()
    {
        $found = [];
        $what = self::$shim->new('unsigned long[3]');
        for ($number = 0; $number < self::DESCRIPTORS_MAX; $number++) {
            if (self::$shim->fnlite_php_look($number, $what) && isset(self::KINDS[$what[0] & 0170000])) {
                $found[$number] = [self::KINDS[$what[0] & 0170000], $what[1], $what[2]];
            }
        }
        return $found;
    }

    /** Names in a folder; none where it cannot be read. */
    private static function names($folder)
    {
        return array_values(array_diff(@scandir($folder) ?: [], ['.', '..']));
    }

    /** Whether memory is mapped that a fork would share and a run could write; without a /proc it is not seen. */
    private static function shares_memory()
    {
        $maps = (string) @file_get_contents('/proc/self/maps');
        return (bool) preg_match('/^\S+ (.w.s .*|...s .* \(deleted\))$/m', $maps);
    }

    /** The answer, a byte, to a question whose asking changes the process; -1 where nobody could be asked. */
    private static function asked_in_child($question)
    {
        $pid = self::$shim->fnlite_php_fork();
        if ($pid === 0) {
            self::$shim->fnlite_php_leave($question());
        }
        $status = $pid > 0 ? self::$shim->fnlite_php_wait($pid) : -1;
        return $status & 0x7f ? -1 : $status >> 8;
    }

    /** Whether the code has asked for the temporary folder, which PHP then keeps in mind. */
    private static function knows_tmp()
    {
        return self::asked_in_child(function () {
            putenv('TMPDIR=/nowhere');
            return sys_get_temp_dir() === '/nowhere' ? 0 : 1;
        }) !== 0;
    }

    /** Why forking this process would not give a faithful copy; empty when it would. */
    private static function unsafe_to_fork()
    {
        $tmp = self::$config->isolation->tmp;
        $written = $tmp ? self::names("{$tmp}/0") || self::names($tmp) !== ['0']
            : self::names('/tmp') || self::names('/dev/shm');
        if ($written) {
            return 'a file was written to /tmp at import';
        }
        if (count(self::names('/proc/self/task')) > 1) {
            return 'a thread was started at import';
        }
        if (self::$shim->fnlite_php_has_children()) {
            return 'a child process was started at import';
        }
        if (self::$shim->fnlite_php_has_timer()) {
            return 'a timer was started at import';
        }
        if (self::shares_memory()) {
            return 'shared memory was made at import';
        }
        if ($tmp && self::knows_tmp()) {
            return 'the temporary folder was looked up at import';
        }
        if (self::lcg_is_out_of_reach() && self::lcg_repeats()) {
            return 'a random number was drawn at import';
        }
        foreach (self::shared_by_fork() as $number => $what) {
            if (!isset(self::$descriptors[$number]) || self::$descriptors[$number] !== $what) {
                return "{$what[0]} was opened at import";
            }
        }
        return '';
    }

    // ------------------------------------------------------------------------------------------------------ the zygote

    /** Tells the server what the code is like and forks; returns in each Instance. */
    private static function be_zygote()
    {
        // Meanwhile nothing here is an error for a handler of the user's, which may throw it.
        set_error_handler(function () {
            return true;
        });
        $unsafe = self::$failure ? '' : self::unsafe_to_fork();
        restore_error_handler();
        list($kind, $text) = self::$failure ?: [$unsafe ? 'F' : 'Z', $unsafe];
        gc_collect_cycles();
        $took_us = (int) ((microtime(true) - self::$began) * 1e6);
        $report = json_encode(['kind' => $kind, 'text' => $text, 'load_us' => $took_us]);
        self::$shim->fnlite_php_report($report, strlen($report));
        if ($kind !== 'Z') {
            self::$shim->fnlite_php_leave(0);
        }
        self::$descriptors = null;
        self::$shim->fnlite_php_silence();
        $number = self::$shim->fnlite_php_serve(...self::$walls);
        self::walled($number);
        self::$pid = getmypid();
        self::move_tmp($number);
        self::reseed();
    }

    /** Ends a process whose walls do not stand. */
    private static function walled($result)
    {
        if ($result < 0) {
            fwrite(STDERR, sprintf("isolation step %d: error %d\n", intdiv(-$result, 1000), -$result % 1000));
            self::$shim->fnlite_php_leave(70);
        }
    }

    /** Each Instance has a temporary folder of its own. */
    private static function move_tmp($number)
    {
        $tmp = self::$config->isolation->tmp;
        if ($tmp && getenv('TMPDIR') === "{$tmp}/0") {
            $_SERVER['TMPDIR'] = $_ENV['TMPDIR'] = "{$tmp}/{$number}";
            putenv("TMPDIR={$tmp}/{$number}");
        }
    }

    /** Random state that would be the same in every Instance, whatever the code has seeded it with. OpenSSL and
     * random_int need no help; nothing seeds lcg_value, and with it uniqid, so its note of being seeded goes. */
    private static function reseed()
    {
        mt_srand(random_int(0, 0x7fffffff));
        if (self::lcg_is_out_of_reach()) {
            return;
        }
        if (PHP_VERSION_ID < 80200) {
            $lcg = \FFI::cdef('typedef struct { int s1, s2, seeded; } lcg; extern lcg lcg_globals;');
            $lcg->lcg_globals->seeded = 0;
        } else {
            $lcg = \FFI::cdef('typedef struct { void *lcg; bool seeded; } random; extern random random_globals;');
            $lcg->random_globals->seeded = false;
        }
    }

    /** Versions whose state is laid out in a way that we do not know. */
    private static function lcg_is_out_of_reach()
    {
        return PHP_ZTS || PHP_VERSION_ID >= 80400;
    }

    /** Whether two forks would draw the same number. They leave with eight bits of it, so a third must agree, too. */
    private static function lcg_repeats()
    {
        $drawn = [];
        for ($child = 0; $child < 3; $child++) {
            $drawn[] = self::asked_in_child(function () {
                return (int) (lcg_value() * 256);
            });
        }
        return count(array_unique($drawn)) === 1;
    }

    // ---------------------------------------------------------------------------------------------------- one Instance

    /** Takes one event and answers it, and waits for another, which only those get that are reused; never returns. */
    private static function run()
    {
        $context = self::$config->context;
        if (!self::$shim->fnlite_php_is_awaited()) {
            self::outcome(self::DUMMY_EVENT, $context, self::DUMMY_ID, function ($event, $context) {
                return $event;
            });
        }
        $name = self::$config->handler_function;
        while (true) {
            list($id, $event) = self::receive();
            self::$running = true;
            $answer = self::$failure ?: self::outcome($event, $context, $id, $name);
            self::flush();
            self::answer(...$answer);
            if (self::$config->reuse) {
                self::$shim->fnlite_php_clean();
            }
        }
    }

    private static function outcome($event, $context, $id, $call)
    {
        try {
            $event = json_decode($event, false, self::DEPTH_MAX, JSON_THROW_ON_ERROR);
            $context = clone $context;
            $context->request_id = $id;
            $value = $call($event, $context);
        } catch (\Throwable $error) {
            return ['E', self::trace($error)];
        }
        try {
            return ['R', json_encode($value, self::ENCODING, self::DEPTH_MAX)];
        } catch (\JsonException $error) { // no frame of this is the user's
            return ['E', 'PHP Fatal error:  Uncaught JsonException: ' . $error->getMessage()];
        } catch (\Throwable $error) {
            return ['E', self::trace($error)];
        }
    }

    /** What the code has left in buffers. */
    private static function flush()
    {
        for ($level = ob_get_level(); $level > 0; $level--) {
            try {
                @ob_end_flush();
            } catch (\Throwable $error) {
                // A callback of the user's; what it held is lost, as it is at the end of any script.
            }
        }
    }

    /** Request id and event; the process ends where there is none to come. */
    private static function receive()
    {
        self::$shim->fnlite_php_lengths(self::$lengths);
        return [self::bytes(self::$lengths[0]), self::bytes(self::$lengths[1])];
    }

    private static function bytes($length)
    {
        if ($length === 0) {
            return '';
        }
        $bytes = self::$shim->new("char[{$length}]");
        self::$shim->fnlite_php_receive($bytes, $length);
        return \FFI::string($bytes, $length);
    }

    private static function answer($kind, $text)
    {
        self::$running = false;
        if (getmypid() !== self::$pid) {
            self::$shim->fnlite_php_leave(0);
        }
        self::$shim->fnlite_php_answer(ord($kind), $text, strlen($text));
    }
}

Bootstrap::begin();
if (Bootstrap::file() !== null) {
    try {
        require Bootstrap::file();
    } catch (\Throwable $_fnlite) {
        Bootstrap::threw($_fnlite);
        unset($_fnlite);
    }
}
Bootstrap::go();
