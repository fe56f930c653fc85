<?php
/* The platform's side of a PHP function, for PHP 7.4 and newer.
 *
 * Started by the launcher as `php -n ... bootstrap CONFIG`, where CONFIG is JSON (see instance/launch). It loads the user's file
 * once, at the top of a script as that file expects. As a zygote it then forks an Instance for every order; as a single it is
 * the one Instance itself. Forking, walls and frames are C (module.c), reached by FFI.
 *
 * What must stay true: nothing of ours is a global variable or a function the user's code could meet, but for one class.
 */

final class FnliteRuntime
{
    const DUMMY_EVENT = '{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"é"}]}';
    const DUMMY_ID = '00000000-0000-0000-0000-000000000000';
    const TRACE_BYTES_MAX = 48000; // three bytes a character at the most, and room for escapes in one datagram
    const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
    const FLAGS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;
    const C = '
        void php_setup(int forks);
        long php_serve(int, int, int, int, int, const char *, const char *, const char *);
        int php_restrict(int, int, int, int, int, const char *, const char *, const char *);
        int php_isolate(int, int, int, int, int, const char *, const char *, const char *);
        void php_lengths(unsigned *);
        void php_receive(char *, unsigned long);
        int php_notice(int);
        int php_answer(int, const char *, unsigned long);
        void php_clean(void);
        void php_exit(int);
        void php_report(const char *, unsigned long);
        void php_mute(void);
        int php_descriptors(int);
        int php_has_children(void);
    ';

    /** The user's file. */
    public static $file;
    private static $config;
    private static $shim;
    private static $began;
    /** What a shutdown of the interpreter means now: null where we end it ourselves. */
    private static $onShutdown = null;

    public static function begin(string $config): void
    {
        $_SERVER['argv'] = $GLOBALS['argv'] = [''];
        $_SERVER['argc'] = $GLOBALS['argc'] = 1;
        self::$config = json_decode($config);
        self::$shim = FFI::cdef(self::C, self::$config->shim);
        self::$file = self::$config->code . '/' . self::$config->handler_file . '.php';
        self::$shim->php_setup(self::$config->single ? 0 : 1);
        if (self::$config->single) {
            self::walled(self::$shim->php_isolate(...self::walls()));
        } elseif (!self::$config->isolation->fresh_mounts) {
            // No mounts will follow, so loading is held as well.
            self::walled(self::$shim->php_restrict(...self::walls()));
        }
        set_include_path('.:' . self::$config->code . ':' . self::$config->layers);
        // Ours is to be the last, so it is registered once the others are running.
        register_shutdown_function(function () {
            register_shutdown_function([self::class, 'shutDown']);
        });
        self::$onShutdown = [self::class, 'endLoading'];
        self::$shim->php_descriptors(0);
        self::$began = hrtime(true);
        if (!is_file(self::$file)) {
            self::loaded(['H', basename(self::$file) . ' is not in the code package']);
        }
    }

    /** Loading has come to its end: with a failure, or with what the file defines. */
    public static function loaded(?array $failure = null): void
    {
        $function = self::$config->handler_function;
        if (!$failure && !function_exists($function)) {
            $failure = ['H', "function $function() is not defined in " . basename(self::$file)];
        }
        self::flush();
        if (self::$config->single) {
            self::$shim->php_notice(ord('K'));
            self::takeEvents($function, $failure);
        }
        $tmp = self::$config->isolation->tmp;
        $unsafe = $failure ? '' : self::unsafeToFork($tmp);
        [$kind, $text] = $failure ?: [$unsafe ? 'F' : 'Z', $unsafe];
        gc_collect_cycles();
        $took = intdiv(hrtime(true) - self::$began, 1000);
        $report = json_encode(['kind' => $kind, 'text' => $text, 'load_us' => $took], JSON_INVALID_UTF8_SUBSTITUTE);
        self::$shim->php_report($report, strlen($report));
        if ($kind !== 'Z') {
            self::$shim->php_exit(0);
        }
        self::$shim->php_mute();
        $number = self::$shim->php_serve(...self::walls());
        self::walled($number);
        self::moveTmp($tmp, $number);
        self::reseed();
        self::takeEvents($function, null);
    }

    /** The file raised while it was loaded. */
    public static function failed(Throwable $error): void
    {
        self::loaded(['E', self::trace($error)]);
    }

    /** Takes events for ever. */
    private static function takeEvents(string $function, ?array $failure): void
    {
        self::outcome(self::DUMMY_EVENT, self::DUMMY_ID, function ($event, $context) {
            return $event;
        });
        $lengths = self::$shim->new('unsigned[2]');
        while (true) {
            self::$shim->php_lengths($lengths);
            [$id, $event] = [self::receive($lengths[0]), self::receive($lengths[1])];
            self::$onShutdown = [self::class, 'endRun'];
            error_clear_last();
            [$kind, $text] = $failure ?: self::outcome($event, $id, $function);
            self::$onShutdown = null;
            self::answer($kind, $text);
            if (self::$config->reuse) {
                self::$shim->php_clean();
            }
        }
    }

    private static function receive(int $length): string
    {
        if ($length === 0) {
            return '';
        }
        $bytes = self::$shim->new("char[$length]");
        self::$shim->php_receive($bytes, $length);
        return FFI::string($bytes, $length);
    }

    private static function answer(string $kind, string $text): void
    {
        self::flush();
        self::$shim->php_answer(ord($kind), $text, strlen($text));
    }

    /** Kind and text of the answer. */
    private static function outcome(string $event, string $id, callable $call): array
    {
        try {
            $context = clone self::$config->context;
            $context->request_id = $id;
            return ['R', json_encode($call(json_decode($event), $context), self::FLAGS)];
        } catch (Throwable $error) {
            return ['E', self::trace($error)];
        }
    }

    /** The interpreter ends although we did not end it. */
    public static function shutDown(): void
    {
        if (self::$onShutdown) {
            (self::$onShutdown)();
        }
    }

    /** While the file was loaded: by an error, or because the code wanted it. */
    private static function endLoading(): void
    {
        $failure = self::fatal();
        if ($failure) {
            self::loaded($failure);
        }
    }

    /** While an event ran. Where the code wanted it, the exit code is the answer, which the interpreter is about to give. */
    private static function endRun(): void
    {
        $failure = self::fatal();
        if ($failure) {
            self::$onShutdown = null;
            self::answer(...$failure);
            self::$shim->php_lengths(self::$shim->new('unsigned[2]'));
            self::$shim->php_exit(0);
        }
        self::flush();
    }

    /** What the interpreter gave up over, as an answer. */
    private static function fatal(): ?array
    {
        ini_set('memory_limit', '-1');
        $error = error_get_last();
        if (!$error || !($error['type'] & self::FATAL)) {
            return null;
        }
        $text = sprintf('PHP Fatal error: %s in %s:%d', $error['message'], $error['file'], $error['line']);
        $isMemory = strncmp($error['message'], 'Allowed memory size of', 22) === 0;
        return [$isMemory ? 'M' : 'E', self::shown($text)];
    }

    /** The error as the interpreter itself would print it, without our frames; what it was caused by comes first. */
    private static function trace(Throwable $error): string
    {
        $text = '';
        for ($one = $error; $one; $one = $one->getPrevious()) {
            $text = self::traceOf($one) . ($text === '' ? '' : "\n\nNext $text");
        }
        return self::shown($text);
    }

    private static function traceOf(Throwable $error): string
    {
        $message = $error->getMessage();
        $head = get_class($error) . ($message === '' ? '' : ": $message");
        // What has no line of the user's is about what he returned.
        if ($error->getFile() === __FILE__) {
            return $head;
        }
        $lines = ["$head in {$error->getFile()}:{$error->getLine()}", 'Stack trace:'];
        $number = 0;
        foreach ($error->getTrace() as $frame) {
            $file = $frame['file'] ?? '[internal function]';
            $name = ($frame['class'] ?? '') . ($frame['type'] ?? '') . $frame['function'];
            if ($file === __FILE__ || ($frame['class'] ?? '') === self::class) {
                continue;
            }
            $at = isset($frame['line']) ? "$file({$frame['line']})" : $file;
            $lines[] = sprintf('#%d %s: %s()', $number++, $at, $name);
        }
        $lines[] = "#$number {main}";
        return implode("\n", $lines);
    }

    /** Paths as the platform shows them, and no more than fits. */
    private static function shown(string $text): string
    {
        $text = str_replace(self::$config->code . '/', '/var/user/', $text);
        if (strlen($text) <= self::TRACE_BYTES_MAX) {
            return $text;
        }
        $half = intdiv(self::TRACE_BYTES_MAX, 2);
        return substr($text, 0, $half) . "\n...\n" . substr($text, -$half);
    }

    private static function flush(): void
    {
        while (ob_get_level() > 0 && @ob_end_flush());
        flush();
    }

    /** Why forking this process would not give a faithful copy; empty where it would. */
    private static function unsafeToFork(string $tmp): string
    {
        $folders = $tmp === '' ? ['/tmp', '/dev/shm'] : ["$tmp/0"];
        foreach ($folders as $folder) {
            if (count(@scandir($folder) ?: []) > 2) {
                return 'a file was written to /tmp at load';
            }
        }
        if (self::$shim->php_has_children()) {
            return 'a child process was started at load';
        }
        if (count(@scandir('/proc/self/task') ?: []) > 3) {
            return 'a thread was started at load';
        }
        return self::$shim->php_descriptors(1) < 0 ? '' : 'a file or a socket was opened at load';
    }

    /** Random state that would be the same in every Instance. */
    private static function reseed(): void
    {
        mt_srand(random_int(PHP_INT_MIN, PHP_INT_MAX));
    }

    /** Each Instance has a temporary folder of its own. */
    private static function moveTmp(string $tmp, int $number): void
    {
        if ($tmp !== '') {
            putenv("TMPDIR=$tmp/$number");
            $_ENV['TMPDIR'] = $_SERVER['TMPDIR'] = "$tmp/$number";
        }
    }

    private static function walls(): array
    {
        $walls = self::$config->isolation;
        return [
            (int) $walls->pid_namespace, (int) $walls->fresh_mounts, (int) $walls->fresh_proc, $walls->groups,
            $walls->landlock_abi, $walls->tmp_options, $walls->landlock_rules, $walls->tmp,
        ];
    }

    /** Ends a process whose walls do not stand. */
    private static function walled(int $result): void
    {
        if ($result < 0) {
            fwrite(STDERR, sprintf("isolation step %d: error %d\n", intdiv(-$result, 1000), -$result % 1000));
            self::$shim->php_exit(70);
        }
    }
}

FnliteRuntime::begin(array_pop($argv));
try {
    require FnliteRuntime::$file;
} catch (Throwable $error) {
    FnliteRuntime::failed($error);
}
FnliteRuntime::loaded();
